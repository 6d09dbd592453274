//! A desk's home: one folder that holds who it is, where its hub is, its keys, its inbox and its outbox.
//!
//! Owns the layout and `desk.toml`. Never changes a key. At a crash: each file is whole, old or new.
//!
//! ```text
//! desk.toml        identity, hub, server_name
//! tls/key.pem      the desk's key and its certificate: one file, so that both change at once
//! tls/cert.pem     the certificate again, for whoever wants it without the key
//! tls/ca.pem       the CA that the hub's certificate must come from
//! inbox/ outbox/   see `inbox` and `outbox`
//! trust.toml       the founding of the directory that the home trusts
//! keys/            see `keys`
//! directory        the directory, as the hub last told it
//! files/           files of packets that came, each under its SHA-256
//! lock             held for the moment of a change to the outbox
//! ```

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::store::{Folder, StoreError};
use crate::files::shelf::Shelf;
use crate::host::disk::{self, Disk, Lock};
use crate::model::identity::{Desk, Identity};
use crate::wire::tls::{Credentials, TlsError};
use crate::wire::trust::{TRUST_BYTES_MAX, TRUST_FILE, Trust};

/// The file of settings.
pub const SETTINGS_FILE: &str = "desk.toml";
/// Largest settings or PEM file, in bytes: a chain of several certificates takes some 10 KiB.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// How long another process's change to the outbox is waited for: it takes two syncs of a disk.
const LOCK_TRIES: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What `desk.toml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who this is: the URI in the certificate.
    pub identity: Identity,
    /// The hub's address, `host:port`.
    pub hub: String,
    /// The name that the hub's certificate must bear.
    pub server_name: String,
}

impl Settings {
    /// The host of an address `host:port`; `None` for text that is no such address.
    pub fn host(hub: &str) -> Option<&str> {
        let (host, port) = hub.rsplit_once(':')?;
        let is_port = matches!(port.parse::<u16>(), Ok(1..));
        (is_port && !host.is_empty()).then_some(host)
    }
}

/// Certificates and key, to be written.
#[derive(Clone, Copy)]
pub struct TlsFiles<'a> {
    /// The certificate chain, PEM.
    pub cert: &'a str,
    /// The key, PEM.
    pub key: &'a str,
    /// The CA of the hub, PEM.
    pub ca: &'a str,
}

/// A home.
#[derive(Clone)]
pub struct Home {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    settings: Settings,
}

/// Why it is not known what a home trusts.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// The file is not there, or is none.
    #[error("{}: {message}. It comes with the certificate, from a registrar: `resguardo office accept --trust FILE`", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The disk does not give it.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

/// The right to change what several processes of a home share, until it is dropped.
#[derive(Debug)]
pub struct HomeLock {
    _lock: Lock,
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is none.
    #[error(
        "{} is not a desk's home: it holds no {SETTINGS_FILE}. Name one with --home DIR or RESGUARDO_HOME", dir.display()
    )]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// `desk.toml` says something that it may not.
    #[error("{}, line {line}: {message}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found and what was expected.
        message: String,
    },
    /// This identity is not a desk's.
    #[error("this is the home of {identity}; only an office's desk may do this")]
    NotADesk {
        /// Who it is.
        identity: Identity,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Another process did not let go.
    #[error("another process of this home holds {} and does not let go: end it, then try again", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
}

#[cfg(test)]
impl HomeLock {
    pub(super) fn of(lock: Lock) -> Self {
        Self { _lock: lock }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    identity: toml::Spanned<String>,
    hub: toml::Spanned<String>,
    server_name: toml::Spanned<String>,
}

impl Home {
    /// Opens a home.
    ///
    /// # Errors
    /// [`HomeError::Missing`], [`HomeError::Settings`] with the line, [`HomeError::Disk`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, HomeError> {
        let path = dir.join(SETTINGS_FILE);
        let text = match disk.read(&path, FILE_BYTES_MAX) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(HomeError::Missing { dir: dir.into() });
            }
            Err(source) => return Err(HomeError::Disk { path, source }),
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let settings = parse(&text).map_err(|(line, message)| HomeError::Settings { path, line, message })?;
        Ok(Self { dir: dir.into(), disk, settings })
    }

    /// Writes a new home, over what stands there of it; inbox and outbox stay as they are.
    ///
    /// # Errors
    /// [`HomeError::Disk`].
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: Settings,
        tls: TlsFiles<'_>,
    ) -> Result<Self, HomeError> {
        Self::write_tls(disk.as_ref(), dir, tls)?;
        // The settings come last: a home that has them is whole.
        let path = dir.join(SETTINGS_FILE);
        disk.write_atomically(&path, written(&settings).as_bytes()).map_err(at(&path))?;
        Ok(Self { dir: dir.into(), disk, settings })
    }

    /// Writes certificates and key into a folder's `tls/`: a desk's home or a hub's. Whenever it is cut off, the key
    /// there is that of the certificate.
    ///
    /// # Errors
    /// [`HomeError::Disk`].
    pub fn write_tls(disk: &dyn Disk, dir: &Path, tls: TlsFiles<'_>) -> Result<(), HomeError> {
        let tls_dir = dir.join("tls");
        disk.create_dir_all(&tls_dir).map_err(at(&tls_dir))?;
        let write = |name: &str, text: &str| {
            let path = tls_dir.join(name);
            disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))
        };
        // While the pair changes, the authorities of both are trusted: at a crash the home has the old pair or the new
        // one, and each finds a hub that it knows.
        let path = tls_dir.join("ca.pem");
        let before = match disk.read(&path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            before => before.map_err(at(&path))?,
        };
        if before != tls.ca.as_bytes() {
            write("ca.pem", &format!("{}{}", tls.ca, String::from_utf8_lossy(&before)))?;
        }
        write("key.pem", &format!("{}{}", tls.key, tls.cert))?;
        write("cert.pem", tls.cert)?;
        if before.is_empty() || before == tls.ca.as_bytes() { Ok(()) } else { write("ca.pem", tls.ca) }
    }

    /// What `desk.toml` says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The desk whose home it is.
    ///
    /// # Errors
    /// [`HomeError::NotADesk`] for an auditor's home and the like.
    pub fn desk(&self) -> Result<&Desk, HomeError> {
        match &self.settings.identity {
            Identity::Desk(desk) => Ok(desk),
            other => Err(HomeError::NotADesk { identity: other.clone() }),
        }
    }

    /// Reads certificates and key, from the machine's own disk.
    ///
    /// # Errors
    /// [`TlsError::File`]: one is missing, or the key is open to others.
    pub fn credentials(&self) -> Result<Credentials, TlsError> {
        Credentials::read(&self.dir.join("tls"))
    }

    /// What the home trusts.
    ///
    /// # Errors
    /// [`TrustFileError`]: the file is missing, or is none.
    pub fn trust(&self) -> Result<Trust, TrustFileError> {
        let path = self.dir.join(TRUST_FILE);
        let bytes = match self.disk.read(&path, TRUST_BYTES_MAX) {
            Err(source) if disk::is_failure(source.kind()) => {
                return Err(TrustFileError::Disk { path, source });
            }
            read => read.map_err(|error| error.to_string()),
        };
        let trust = bytes.and_then(|bytes| {
            Trust::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| error.to_string())
        });
        trust.map_err(|message| TrustFileError::Wrong { path, message })
    }

    /// The disk that it is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Takes the right to change what the home's processes share; waits a while for another that has it.
    ///
    /// # Errors
    /// [`HomeError::Busy`], [`HomeError::Disk`].
    pub async fn lock(&self) -> Result<HomeLock, HomeError> {
        self.lock_trying(LOCK_TRIES).await
    }

    pub(super) async fn lock_trying(&self, tries: u32) -> Result<HomeLock, HomeError> {
        let path = self.dir.join("lock");
        for _ in 0..tries {
            if let Some(lock) = self.disk.lock(&path).map_err(at(&path))? {
                return Ok(HomeLock { _lock: lock });
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        Err(HomeError::Busy { path })
    }

    /// The files of packets that came.
    pub fn shelf(&self) -> Shelf {
        Shelf::at(self.disk.clone(), self.dir.join("files"))
    }

    /// The folder of that name in the home.
    pub(super) fn folder(&self, name: &str) -> Result<Folder, StoreError> {
        Folder::open(self.disk.clone(), self.dir.join(name))
    }

    /// The home itself as a folder of records.
    pub(super) fn root(&self) -> Result<Folder, StoreError> {
        Folder::open(self.disk.clone(), self.dir.clone())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Disk { path, source }
}

fn parse(text: &str) -> Result<Settings, (usize, String)> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let file: SettingsFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        (line, error.message().replace('\n', " "))
    })?;
    let identity = file.identity.get_ref().parse::<Identity>();
    let identity = identity.map_err(|error| (line_of(file.identity.span().start), error.to_string()))?;
    let hub = file.hub.get_ref();
    if Settings::host(hub).is_none() {
        let message =
            format!("hub = {hub:?} is not an address: host:port expected, e.g. \"hub.example.org:7443\"");
        return Err((line_of(file.hub.span().start), message));
    }
    if file.server_name.get_ref().is_empty() {
        let message = "server_name is empty: the name in the hub's certificate expected".into();
        return Err((line_of(file.server_name.span().start), message));
    }
    Ok(Settings { identity, hub: hub.clone(), server_name: file.server_name.into_inner() })
}

fn written(settings: &Settings) -> String {
    let mut text = String::new();
    for (what, key, value) in [
        ("Who this is: the URI in the certificate.", "identity", settings.identity.to_string()),
        ("Where the hub listens, host:port.", "hub", settings.hub.clone()),
        ("The name that the hub's certificate must bear.", "server_name", settings.server_name.clone()),
    ] {
        let _ = writeln!(text, "# {what}\n{key} = {}", toml::Value::String(value));
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::disk::MemoryDisk;

    /// A home of `ohchr-honduras` on a disk in memory.
    pub(in crate::desk) fn home_on(disk: &MemoryDisk) -> Home {
        let settings = Settings {
            identity: "urn:resguardo:office:ohchr-honduras:desk-1".parse().unwrap(),
            hub: "127.0.0.1:7443".into(),
            server_name: "localhost".into(),
        };
        let tls = TlsFiles { cert: "cert", key: "key", ca: "ca" };
        Home::create(Arc::new(disk.clone()), Path::new("/home"), settings, tls).unwrap()
    }

    #[test]
    fn a_home_reads_back_as_written() {
        let disk = MemoryDisk::new();
        let made = home_on(&disk);
        let opened = Home::open(Arc::new(disk), Path::new("/home")).unwrap();
        assert_eq!(opened.settings(), made.settings());
        assert_eq!(opened.desk().unwrap().office.as_str(), "ohchr-honduras");
    }

    #[test]
    fn wrong_settings_are_refused_with_their_line() {
        let good = "identity = \"urn:resguardo:auditor:iachr\"\nhub = \"a:1\"\nserver_name = \"a\"\n";
        assert!(parse(good).is_ok());
        for (text, line, words) in [
            (good.replace("hub", "hob"), 2, "unknown field `hob`"),
            (format!("{good}x = 1\n"), 4, "unknown field `x`"),
            (good.replace("auditor", "king"), 1, "is not an identity"),
            (good.replace("a:1", "a"), 2, "host:port expected"),
            (good.replace("a:1", "a:0"), 2, "host:port expected"),
            (good.replace("\"a\"", "\"\""), 3, "server_name is empty"),
            (good.replace("\"a\"", "7"), 3, "string"),
            ("hub = \"a:1\"\n".into(), 1, "missing field `identity`"),
            ("hub = \"a:1\"\n=".into(), 2, ""),
        ] {
            let (found, message) = parse(&text).unwrap_err();
            assert!(found == line && message.contains(words), "{text:?}: line {found}: {message}");
        }
    }

    #[test]
    fn a_folder_without_settings_is_no_home() {
        let error = Home::open(Arc::new(MemoryDisk::new()), Path::new("/nowhere")).err().unwrap();
        assert!(error.to_string().contains("--home DIR"), "{error}");
    }
}
