//! A disk's state in memory, and what a crash may leave of it.
//!
//! Owns the two states of each content and of each folder's names: as a program sees it, and as it is surely there
//! after a power cut. Never fails by itself: faults are injected above. At a crash: [`Image::crashed`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::folder_of;
use crate::host::random::SeededRandom;

/// The number of a file of a disk, in the order of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileNumber(usize);

/// One change of a disk, or one sync; a disk is what its operations, one after the other, make of an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A folder was made, and those above it, durably.
    CreateDir(PathBuf),
    /// An empty file was made.
    CreateFile(PathBuf),
    /// Bytes were written.
    Write(FileNumber, u64, Bytes),
    /// A file's length was set.
    SetLen(FileNumber, u64),
    /// A file's content was made durable.
    SyncData(FileNumber),
    /// A sync of a file's content failed: what was not durable is in the machine's memory, marked as written, so that
    /// no later sync writes it (what Linux does; only writing it again helps).
    SyncFailed(FileNumber),
    /// A name was changed inside its folder.
    Rename(PathBuf, PathBuf),
    /// A name was removed.
    Remove(PathBuf),
    /// A folder's names were made durable.
    SyncDir(PathBuf),
    /// A folder was made, and its name is not durable yet.
    MakeDir(PathBuf),
    /// An empty folder was removed.
    RemoveDir(PathBuf),
    /// Every content and every name was made durable.
    SyncAll,
}

/// What a crash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashStyle {
    /// The process ended, the machine lives: all that was written.
    ProcessEnd,
    /// A power cut: what was synced, nothing more.
    DropUnsynced,
    /// A power cut: what was synced, and a part of the rest. Of each write some blocks (of 512 or 4,096 bytes) are
    /// there and others are not; of each folder the first few changes of names.
    Torn {
        /// Decides which.
        seed: u64,
    },
    /// A power cut under a file system that keeps no order: as torn, but of each folder any of the changes of names, and a
    /// file that grew may have its new length without the bytes.
    Scattered {
        /// Decides which.
        seed: u64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Image {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Dir(Dir),
    File(Content),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    now: BTreeMap<OsString, usize>,
    durable: BTreeMap<OsString, usize>,
    unsynced: Vec<NameChange>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(OsString, usize),
    Move(OsString, OsString),
    Clear(OsString),
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Bytes),
    SetLen(u64),
}

const ROOT: usize = 0;

impl Image {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Dir(Dir::default())] }
    }

    /// Carries out one operation; `NotFound` and the like as a disk would say.
    pub(super) fn apply(&mut self, operation: &Operation) -> io::Result<()> {
        match operation {
            Operation::CreateDir(path) => self.create_dir_all(path)?,
            Operation::CreateFile(path) => {
                let number = self.nodes.len();
                self.dir_mut(folder_of(path))?.change(NameChange::Set(name_of(path)?, number));
                self.nodes.push(Node::File(Content::default()));
            }
            Operation::Write(file, offset, bytes) => {
                self.content_mut(*file)?.change(Change::Write(*offset, bytes.clone()));
            }
            Operation::SetLen(file, len) => self.content_mut(*file)?.change(Change::SetLen(*len)),
            Operation::SyncData(file) => self.content_mut(*file)?.sync(),
            Operation::SyncFailed(file) => self.content_mut(*file)?.unsynced.clear(),
            Operation::Rename(from, to) => {
                self.find(from)?;
                self.dir_mut(folder_of(from))?.change(NameChange::Move(name_of(from)?, name_of(to)?));
            }
            Operation::Remove(path) => {
                self.file(path)?;
                self.dir_mut(folder_of(path))?.change(NameChange::Clear(name_of(path)?));
            }
            Operation::SyncDir(path) => self.dir_mut(path)?.sync(),
            Operation::MakeDir(path) => {
                let number = self.nodes.len();
                self.dir_mut(folder_of(path))?.change(NameChange::Set(name_of(path)?, number));
                self.nodes.push(Node::Dir(Dir::default()));
            }
            Operation::RemoveDir(path) => {
                if !self.names(path)?.is_empty() {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                self.dir_mut(folder_of(path))?.change(NameChange::Clear(name_of(path)?));
            }
            Operation::SyncAll => self.nodes.iter_mut().for_each(Node::sync),
        }
        Ok(())
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<FileNumber> {
        let number = self.find(path)?;
        match self.nodes[number] {
            Node::File(_) => Ok(FileNumber(number)),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        match &self.nodes[self.find(dir)?] {
            Node::Dir(dir) => Ok(dir.now.keys().cloned().collect()),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn bytes(&self, file: FileNumber) -> &[u8] {
        match &self.nodes[file.0] {
            Node::File(content) => &content.now,
            Node::Dir(_) => &[],
        }
    }

    /// Turns a bit in what is there now and in what is durable, as a failing drive would.
    pub(super) fn flip_bit(&mut self, file: FileNumber, offset: usize, bit: u8) -> io::Result<()> {
        let content = self.content_mut(file)?;
        for bytes in [&mut content.now, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << bit;
            }
        }
        Ok(())
    }

    pub(super) fn bytes_used(&self) -> u64 {
        let len = |node: &Node| match node {
            Node::File(content) => content.now.len() as u64,
            Node::Dir(_) => 0,
        };
        self.reachable().into_iter().map(|number| len(&self.nodes[number])).sum()
    }

    /// The disk as it may be after a crash at this moment.
    pub(super) fn crashed(&self, style: CrashStyle) -> Self {
        let seed = match style {
            CrashStyle::Torn { seed } | CrashStyle::Scattered { seed } => seed,
            CrashStyle::ProcessEnd | CrashStyle::DropUnsynced => 0,
        };
        let random = SeededRandom::new(seed);
        let crash = |node: &Node| match node {
            Node::Dir(dir) => Node::Dir(dir.crashed(style, &random)),
            Node::File(content) => Node::File(content.crashed(style, &random)),
        };
        Self { nodes: self.nodes.iter().map(crash).collect() }
    }

    fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in names_in(path)? {
            let next = self.nodes.len();
            let Node::Dir(dir) = &mut self.nodes[at] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            at = *dir.now.entry(name.to_owned()).or_insert(next);
            // Only this name is made durable; changes of others in the same folder stay open.
            dir.durable.insert(name.to_owned(), at);
            if at == next {
                self.nodes.push(Node::Dir(Dir::default()));
            }
        }
        match self.nodes[at] {
            Node::Dir(_) => Ok(()),
            Node::File(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        names_in(path)?.into_iter().try_fold(ROOT, |at, name| match &self.nodes[at] {
            Node::Dir(dir) => dir.now.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into()),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        })
    }

    fn dir_mut(&mut self, path: &Path) -> io::Result<&mut Dir> {
        let number = self.find(path)?;
        match &mut self.nodes[number] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn content_mut(&mut self, file: FileNumber) -> io::Result<&mut Content> {
        match self.nodes.get_mut(file.0) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn reachable(&self) -> Vec<usize> {
        let mut found = vec![ROOT];
        let mut next = 0;
        while let Some(&number) = found.get(next) {
            if let Node::Dir(dir) = &self.nodes[number] {
                found.extend(dir.now.values());
            }
            next += 1;
        }
        found
    }
}

impl Node {
    fn sync(&mut self) {
        match self {
            Self::Dir(dir) => dir.sync(),
            Self::File(content) => content.sync(),
        }
    }
}

impl Dir {
    fn change(&mut self, change: NameChange) {
        apply_name(&mut self.now, &change);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        self.unsynced.clear();
        self.durable.clone_from(&self.now);
    }

    fn crashed(&self, style: CrashStyle, random: &SeededRandom) -> Self {
        let made = self.unsynced.len() as u64;
        let left: Vec<_> = match style {
            CrashStyle::ProcessEnd => return self.clone(),
            CrashStyle::DropUnsynced => Vec::new(),
            // File systems in use write changes of names in their order.
            CrashStyle::Torn { .. } => {
                let left = random.below(made + 1);
                (0..made).map(|number| number < left).collect()
            }
            // Nothing promises that they do.
            CrashStyle::Scattered { .. } => (0..made).map(|_| random.below(2) == 0).collect(),
        };
        let mut durable = self.durable.clone();
        for (change, _) in self.unsynced.iter().zip(left).filter(|(_, left)| *left) {
            apply_name(&mut durable, change);
        }
        Self { now: durable.clone(), durable, unsynced: Vec::new() }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        match &change {
            Change::Write(offset, bytes) => write(&mut self.now, *offset, bytes),
            Change::SetLen(len) => self.now.resize(position(*len), 0),
        }
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write(offset, bytes) => write(&mut self.durable, offset, &bytes),
                Change::SetLen(len) => self.durable.resize(position(len), 0),
            }
        }
    }

    fn crashed(&self, style: CrashStyle, random: &SeededRandom) -> Self {
        match style {
            CrashStyle::ProcessEnd => self.clone(),
            CrashStyle::DropUnsynced => Self::synced(self.durable.clone()),
            CrashStyle::Torn { .. } => Self::synced(self.torn(random)),
            CrashStyle::Scattered { .. } => {
                let mut bytes = self.torn(random);
                if bytes.len() < self.now.len() && random.below(2) == 0 {
                    bytes.resize(self.now.len(), 0);
                }
                Self::synced(bytes)
            }
        }
    }

    fn synced(durable: Vec<u8>) -> Self {
        Self { now: durable.clone(), durable, unsynced: Vec::new() }
    }

    fn torn(&self, random: &SeededRandom) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let block = if random.below(2) == 0 { 512 } else { 4_096 };
        for change in &self.unsynced {
            match change {
                Change::SetLen(len) if random.below(2) == 0 => bytes.resize(position(*len), 0),
                Change::SetLen(_) => {}
                // Of some writes nothing is left, of some all, of some a random part.
                Change::Write(offset, written) => match random.below(4) {
                    0 => {}
                    1 => write(&mut bytes, *offset, written),
                    _ => write_some_blocks(&mut bytes, *offset, written, block, random),
                },
            }
        }
        bytes
    }
}

fn write_some_blocks(bytes: &mut Vec<u8>, offset: u64, written: &[u8], block: u64, random: &SeededRandom) {
    let mut done = 0;
    while done < written.len() {
        let at = offset + done as u64;
        let end = written.len().min(done + position(block - at % block));
        if random.below(2) == 0 {
            write(bytes, at, &written[done..end]);
        }
        done = end;
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
    let (from, to) = (position(offset), position(offset) + written.len());
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(written);
}

fn apply_name(names: &mut BTreeMap<OsString, usize>, change: &NameChange) {
    match change {
        NameChange::Set(name, number) => {
            names.insert(name.clone(), *number);
        }
        NameChange::Clear(name) => {
            names.remove(name);
        }
        NameChange::Move(from, to) => {
            if let Some(number) = names.remove(from) {
                names.insert(to.clone(), number);
            }
        }
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("a file in memory is smaller than the memory")
}

fn name_of(path: &Path) -> io::Result<OsString> {
    path.file_name().map(OsStr::to_owned).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn names_in(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}
