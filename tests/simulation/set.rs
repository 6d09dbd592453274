//! The homes of a development set, made once by the program and put on a disk in memory for each run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use resguardo::desk::officers;
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::host::disk::{Disk as _, MemoryDisk, OsDisk};
use resguardo::model::id::UnixMicros;
use resguardo::seal::SigningKey;
use tempfile::TempDir;

/// The hub's home.
pub(crate) const HUB: &str = "hub";
/// The offices that take part: headquarters and three of the other institution, which are just enough to bear witness. The rest
/// of the directory is away all the time.
pub(crate) const OFFICES: [&str; 4] = ["iachr", "ohchr-colombia", "ohchr-honduras", "ohchr-mexico"];
/// Small segments, so that a run has several.
const CONFIG: &str = "name = \"dev\"\nlisten = \"127.0.0.1:4443\"\n[journal]\nsegment_bytes = 1048576\n";

/// An officer who states something.
#[derive(Clone)]
pub(crate) struct Officer {
    pub(crate) name: String,
    pub(crate) key: Arc<SigningKey>,
}

/// A development set.
pub(crate) struct Set {
    dir: PathBuf,
    /// When it was made: its certificates are of that day.
    pub(crate) made: UnixMicros,
    files: BTreeMap<&'static str, Vec<(PathBuf, Vec<u8>)>>,
    officers: BTreeMap<&'static str, Officer>,
    /// TLS files are read from the machine's own disk.
    _folder: TempDir,
}

impl Set {
    pub(crate) fn make() -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("certs-dev");
        let made =
            Command::new(env!("CARGO_BIN_EXE_resguardo")).args(["certs", "dev", "--dir"]).arg(&dir).output();
        let made = made.expect("the program runs");
        assert!(made.status.success(), "{made:?}");
        fs::write(dir.join(HUB).join("hub.toml"), CONFIG).expect("the hub's home is there");
        let homes = OFFICES.iter().copied().chain([HUB]);
        let files = homes.map(|home| {
            let mut files = Vec::new();
            collect(&dir.join(home), &mut files);
            (home, files)
        });
        let files = files.collect();
        let officers = OFFICES.map(|office| {
            let home = dir.join(office);
            let officer = officers::who(&OsDisk, &home, None).expect("a set has one officer in each office");
            let key = officers::unlock(&OsDisk, &home, &officer, "").expect("that key is not wrapped").key;
            (office, Officer { name: officer.name, key: Arc::new(key) })
        });
        let made = SystemClock::new().now();
        Arc::new(Self { dir, made, files, officers: officers.into(), _folder: folder })
    }

    /// Where a home is.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A disk with one home on it, all of it durable.
    pub(crate) fn disk(&self, name: &str) -> MemoryDisk {
        let disk = MemoryDisk::new();
        for (path, bytes) in &self.files[name] {
            disk.create_dir_all(path.parent().expect("a file is in a folder")).expect("room");
            disk.write_atomically(path, bytes).expect("room");
        }
        disk
    }

    /// The officer of an office.
    pub(crate) fn officer(&self, office: &str) -> Officer {
        self.officers[office].clone()
    }
}

fn collect(dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("a folder of the set") {
        let path = entry.expect("a name").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push((path.clone(), fs::read(&path).expect("a file of the set")));
        }
    }
}
