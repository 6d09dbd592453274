//! Bearing witness that the hub's logs only grow: every desk does, and whoever does nothing else.
//!
//! Owns `logs/` of a home: of each log the last checkpoint that was held to the one before it, and the proof, where the hub was
//! found out. Never cosigns what does not follow. At a crash: a checkpoint is kept before it is cosigned, so no other of its size or
//! of an earlier one is cosigned later. Where the hub was found out nothing is cosigned any more; alerts go on.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message as _;
use tonic::transport::Channel;

use super::heard;
use super::home::Home;
use super::keys::{self, KeysError};
use super::members::Members;
use super::store::StoreError;
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::policy::{Policy, Restored};
use crate::model::receipt::SeenLog;
use crate::proof::{
    CheckpointError, ConsistencyProof, Frontier, HASH_BYTES, NOTE_BYTES_MAX, SignedCheckpoint, TreeHash,
    TreeHead, UnixSeconds,
};
use crate::seal::SigningKey;
use crate::wire::amendment;
use crate::wire::log::{self, Log, directory_record};
use crate::wire::open_key::{OpenKey, OpenKeyError};
use crate::wire::proto::log_service_client::LogServiceClient;
use crate::wire::proto::{CosignRequest, GetCheckpointRequest, Newest, Promise};
use crate::wire::status::CallError;

pub(super) const FOLDER: &str = "logs";
/// The restores that the last checkpoint of the journal goes on from, a line each.
const SETTLED: &str = "restored";
/// Bytes of that at most: some thousand restores.
const SETTLED_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of the proof that the hub was found out, at most: two notes and a sentence.
const FOUND_BYTES_MAX: u64 = 2 * NOTE_BYTES_MAX as u64 + 64 * 1024;

/// What a look at a log has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The log.
    pub log: Log,
    /// The newest checkpoint that follows from all that was known here.
    pub head: TreeHead,
    /// Whether it was cosigned now.
    pub cosigned: bool,
    /// Whether enough witnesses have cosigned it with that.
    pub witnessed: bool,
}

/// Why a log was not witnessed.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The hub was not reached, or refuses.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A file of the home.
    #[error("{}: {error}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        error: std::io::Error,
    },
    /// The inbox or the outbox.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The home's key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An outside witness's key.
    #[error(transparent)]
    Key(#[from] OpenKeyError),
    /// What the hub gave is no checkpoint that it signed.
    #[error("the hub gave a checkpoint of the {log} that does not count: {error}")]
    NotSigned {
        /// The log.
        log: &'static str,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// The hub shows another history than it showed before.
    #[error(
        "THE HUB'S {} IS NOT WHAT IT WAS: {why}. The proof is kept in {}; nothing is cosigned here any more. Telephone both \
         registrars and the other offices now. Alerts go on", log.to_uppercase(), kept.display()
    )]
    Found {
        /// The log.
        log: &'static str,
        /// What was found.
        why: String,
        /// Where the proof is.
        kept: PathBuf,
    },
    /// The home's clock says a time that cannot be signed.
    #[error("the clock of this machine says no time that could be signed")]
    Clock,
}

/// Looks at both logs, and cosigns what follows from all that is known here.
///
/// # Errors
/// [`WitnessError`]: the first thing that is wrong.
pub async fn look(
    home: &Home,
    channel: Channel,
    policy: &Policy,
    now: UnixMicros,
) -> Result<Vec<Seen>, WitnessError> {
    let mut seen = Vec::new();
    for log in Log::ALL {
        seen.extend(Look { home, policy, log, now }.look(channel.clone()).await?);
    }
    Ok(seen)
}

/// Tells whether the hub was found out here before.
///
/// # Errors
/// [`WitnessError::Found`] if so; [`WitnessError::Disk`].
pub fn check(home: &Home) -> Result<(), WitnessError> {
    Log::ALL.iter().try_for_each(|log| found(home, *log))
}

fn found_path(home: &Home, log: Log) -> PathBuf {
    home.dir().join(FOLDER).join(format!("{}.found", log.name()))
}

fn found(home: &Home, log: Log) -> Result<(), WitnessError> {
    let path = found_path(home, log);
    match home.disk().read(&path, FOUND_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(WitnessError::Disk { path, error }),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let why = text.lines().next().unwrap_or_default().to_owned();
            Err(WitnessError::Found { log: log.name(), why, kept: path })
        }
    }
}

/// The last checkpoint of a log that was held to the one before it; `None`: none yet.
///
/// # Errors
/// [`WitnessError::Disk`], [`WitnessError::NotSigned`].
pub fn last(home: &Home, policy: &Policy, log: Log) -> Result<Option<SignedCheckpoint>, WitnessError> {
    let look = Look { home, policy, log, now: UnixMicros(0) };
    look.last()
}

/// What this home has seen of the hub's journal, for its receipts; `None` where that is nothing, or cannot be read: no receipt waits
/// for it.
pub fn seen(home: &Home) -> Option<SeenLog> {
    let members = Members::copied(home).ok()??;
    let look = Look { home, policy: members.policy(), log: Log::Journal, now: UnixMicros(0) };
    let tree = *look.last().ok()??.checkpoint().tree();
    let restores = u32::try_from(look.settled().ok()?.lines().count()).ok()?;
    let disputed = matches!(check(home), Err(WitnessError::Found { .. }));
    Some(SeenLog { size: tree.size, root: tree.root.0, restores, disputed })
}

/// Holds a note to a key of the hub's, the present one first: what was kept may be signed by one before.
///
/// # Errors
/// [`WitnessError::NotSigned`]
pub fn open(policy: &Policy, log: Log, note: &[u8]) -> Result<SignedCheckpoint, WitnessError> {
    log::opened(policy, log, note).map_err(|error| WitnessError::NotSigned { log: log.name(), error })
}

/// One look at one log.
struct Look<'a> {
    home: &'a Home,
    policy: &'a Policy,
    log: Log,
    now: UnixMicros,
}

impl Look<'_> {
    async fn look(&self, channel: Channel) -> Result<Option<Seen>, WitnessError> {
        let (log, last) = (self.log.to_wire(), self.last()?);
        let known = last.as_ref().map(|last| *last.checkpoint().tree());
        let mut client = LogServiceClient::new(channel);
        let known_size = known.map_or(0, |known| known.size);
        let Some((signed, proof)) = self.ask(&mut client, known_size).await? else {
            // It was cosigned before; a restore that the registrars have signed since then is settled all the same.
            if let (Log::Journal, Some(known), Some(restored)) = (self.log, known, self.unsettled()?)
                && self.goes_on_from(&mut client, &restored, &known).await?
            {
                self.settle()?;
            }
            return Ok(None);
        };
        let head = *signed.checkpoint().tree();
        match (self.log, &last) {
            (Log::Journal, None) => {}
            (Log::Journal, Some(last)) => self.journal_holds(&mut client, last, (&signed, &proof)).await?,
            (Log::Directory, _) => {
                found(self.home, self.log)?;
                if !self.directory_holds(&signed, known_size)? {
                    return Ok(None);
                }
            }
        }
        if known != Some(head) {
            self.write(self.log.name(), signed.note().to_string().as_bytes())?;
        }
        // Only now: before, a crash would leave a last checkpoint that nothing excuses any more.
        if self.log == Log::Journal && self.unsettled()?.is_some() {
            self.settle()?;
        }
        let mut seen = Seen { log: self.log, head, cosigned: false, witnessed: false };
        if let Some((name, key)) = self.key()? {
            // What was kept before a crash, or before the line was cut, is cosigned when it is seen again.
            let own = log::witness_of(&name, &key.verifying_key());
            if matches!(own.cosigned(signed.checkpoint(), signed.note()), Ok(Some(_))) {
                return Ok(Some(seen));
            }
            let at = UnixSeconds::new(self.now.0 / 1_000_000).ok_or(WitnessError::Clock)?;
            let lines = signed.checkpoint().cosign(&log::key_name(&name), &key, at);
            let lines = lines.iter().map(ToString::to_string).collect();
            let cosigned = CosignRequest { log, size: head.size, lines };
            let answer = client.cosign(cosigned).await.map_err(CallError::from)?.into_inner();
            (seen.cosigned, seen.witnessed) = (true, answer.witnessed);
        }
        Ok(Some(seen))
    }

    /// Asks for what is to be cosigned now, and for a proof that it goes on from a size.
    async fn ask(
        &self,
        client: &mut LogServiceClient<Channel>,
        known_size: u64,
    ) -> Result<Option<(SignedCheckpoint, Vec<Bytes>)>, WitnessError> {
        let (log, newest) = (self.log.to_wire(), Newest::ToCosign as i32);
        let asked = GetCheckpointRequest { log, newest, known_size };
        let given = client.get_checkpoint(asked).await.map_err(CallError::from)?.into_inner();
        heard::told(self.home, &given.disputed_by)?;
        if given.note.is_empty() {
            return Ok(None);
        }
        Ok(Some((self.open(&given.note)?, given.consistency)))
    }

    /// Holds a checkpoint of the journal to the last one, or to a restore of the hub that the registrars have signed and that none
    /// was held to yet.
    async fn journal_holds(
        &self,
        client: &mut LogServiceClient<Channel>,
        last: &SignedCheckpoint,
        (signed, proof): (&SignedCheckpoint, &[Bytes]),
    ) -> Result<(), WitnessError> {
        let head = signed.checkpoint().tree();
        let (goes_on, before) = (follows(last.checkpoint().tree(), head, proof), found(self.home, self.log));
        if goes_on.is_ok() && before.is_ok() {
            return Ok(());
        }
        if let Some(restored) = self.unsettled()?
            && self.goes_on_from(client, &restored, head).await?
        {
            return Ok(());
        }
        before?;
        match goes_on {
            Ok(()) => Ok(()),
            Err(why) => Err(self.found_out(&why, last, signed)),
        }
    }

    /// Holds a checkpoint of the directory to the entries that this home has followed itself; `false`: to be looked at later.
    fn directory_holds(&self, signed: &SignedCheckpoint, known_size: u64) -> Result<bool, WitnessError> {
        let head = signed.checkpoint().tree();
        // What the hub has more of is followed, and what it has lost is given back, before a later look.
        let Some(root) = self.directory_root(head.size).filter(|_| head.size >= known_size) else {
            return Ok(false);
        };
        if root == head.root {
            return Ok(true);
        }
        let why = format!(
            "its first {} entries as this home has them come to {root}, and the hub signed {}",
            head.size, head.root
        );
        Err(self.found_out(&why, signed, signed))
    }

    /// The newest restore of the hub that registrars have signed and that no checkpoint here was held to.
    fn unsettled(&self) -> Result<Option<Restored>, WitnessError> {
        let settled = self.settled()?;
        let newest = self.policy.restored().last().copied();
        Ok(newest.filter(|it| settled.lines().all(|line| line != epoch_text(it))))
    }

    /// The restores that the last checkpoint goes on from, a line each.
    fn settled(&self) -> Result<String, WitnessError> {
        let path = self.path(SETTLED);
        match self.home.disk().read(&path, SETTLED_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(WitnessError::Disk { path, error }),
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Tells whether a tree goes on from what a restore has kept.
    async fn goes_on_from(
        &self,
        client: &mut LogServiceClient<Channel>,
        restored: &Restored,
        head: &TreeHead,
    ) -> Result<bool, WitnessError> {
        let kept = TreeHead { size: restored.kept, root: TreeHash(restored.root) };
        let Some((again, proof)) = self.ask(client, kept.size).await? else { return Ok(false) };
        // Another round may have begun meanwhile: the next look sees it.
        Ok(again.checkpoint().tree() == head && follows(&kept, head, &proof).is_ok())
    }

    /// Notes that the last checkpoint goes on from all restores that are known; what was found out before them is put aside first,
    /// for after the note no restore excuses it.
    fn settle(&self) -> Result<(), WitnessError> {
        let known = self.policy.restored();
        if let Some(newest) = known.last() {
            let path = found_path(self.home, self.log);
            let aside = path.with_extension(format!("found-{}", epoch_text(newest)));
            match self.home.disk().rename(&path, &aside) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WitnessError::Disk { path, error });
                }
                _ => {}
            }
        }
        let lines: String = known.iter().map(|it| epoch_text(it) + "\n").collect();
        self.write(SETTLED, lines.as_bytes())
    }

    /// The key that bears witness, where the directory names it.
    fn key(&self) -> Result<Option<(Identity, SigningKey)>, WitnessError> {
        let (identity, disk) = (self.home.settings().identity.clone(), self.home.disk().as_ref());
        let key = match &identity {
            Identity::Desk(_) => Some(keys::unattended(disk, self.home.dir())?),
            Identity::Witness(_) => OpenKey::Witness.read(disk, self.home.dir())?,
            _ => None,
        };
        let named = log::witness(self.policy, &identity);
        let own = |key: &SigningKey| log::witness_of(&identity, &key.verifying_key());
        Ok(key.filter(|key| named == Some(own(key))).map(|key| (identity.clone(), key)))
    }

    fn last(&self) -> Result<Option<SignedCheckpoint>, WitnessError> {
        let path = self.path(self.log.name());
        match self.home.disk().read(&path, NOTE_BYTES_MAX as u64) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(WitnessError::Disk { path, error }),
            Ok(note) => self.open(&note).map(Some),
        }
    }

    fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, WitnessError> {
        open(self.policy, self.log, note)
    }

    fn directory_root(&self, size: u64) -> Option<TreeHash> {
        let entries = self.policy.entries().get(..usize::try_from(size).ok()?)?;
        let mut tree = Frontier::new();
        for entry in entries {
            tree.append(directory_record(&amendment::bytes(entry)).leaf());
        }
        Some(tree.root())
    }

    fn found_out(&self, why: &str, known: &SignedCheckpoint, shown: &SignedCheckpoint) -> WitnessError {
        found_out(self.home, self.log, why, (known, shown), None)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WitnessError> {
        write(self.home, &self.path(name), bytes)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.dir().join(FOLDER).join(name)
    }
}

fn epoch_text(restored: &Restored) -> String {
    format!("{:016x}", restored.id.0)
}

/// Keeps the proof that the hub was found out, with its own word for an entry that it left out; from then on nothing is cosigned.
pub(super) fn found_out(
    home: &Home,
    log: Log,
    why: &str,
    (known, shown): (&SignedCheckpoint, &SignedCheckpoint),
    word: Option<&Promise>,
) -> WitnessError {
    let kept = found_path(home, log);
    let (known, shown) = (known.note(), shown.note());
    let mut text = format!("{why}\n\nknown here:\n\n{known}\nshown by the hub:\n\n{shown}");
    if let Some(word) = word {
        text += "\nthe hub's signed word for the entry, a Promise of the protocol, two digits a byte:\n\n";
        text.extend(word.encode_to_vec().iter().map(|byte| format!("{byte:02x}")));
        text.push('\n');
    }
    match write(home, &kept, text.as_bytes()) {
        Ok(()) => WitnessError::Found { log: log.name(), why: why.to_owned(), kept },
        Err(error) => error,
    }
}

pub(super) fn write(home: &Home, path: &Path, bytes: &[u8]) -> Result<(), WitnessError> {
    let disk = home.disk();
    let written =
        disk.create_dir_all(&home.dir().join(FOLDER)).and_then(|()| disk.write_atomically(path, bytes));
    written.map_err(|error| WitnessError::Disk { path: path.to_owned(), error })
}

/// Reads hashes; `None` where one has another length.
pub(super) fn hashes(bytes: &[Bytes]) -> Option<Vec<TreeHash>> {
    let hash = |bytes: &Bytes| <[u8; HASH_BYTES]>::try_from(bytes.as_ref()).ok().map(TreeHash);
    bytes.iter().map(hash).collect()
}

/// Holds one tree to another that it is to follow from.
pub(super) fn follows(known: &TreeHead, shown: &TreeHead, proof: &[Bytes]) -> Result<(), String> {
    if shown.size < known.size {
        return Err(format!("it had {} entries, and shows {} now", known.size, shown.size));
    }
    if shown.size == known.size {
        let other = || format!("two different trees of {} entries are signed", known.size);
        return if shown.root == known.root { Ok(()) } else { Err(other()) };
    }
    let proof =
        hashes(proof).and_then(ConsistencyProof::from_hashes).ok_or("its proof has no form of one")?;
    proof.verify(known, shown).map_err(|error| {
        format!("its {} entries do not go on from the {} that were known: {error}", shown.size, known.size)
    })
}
