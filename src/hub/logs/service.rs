//! The logs, as gRPC: checkpoints, tiles, proofs, and what witnesses hand in.
//!
//! Owns who may be told the nonce of an entry: who may see it in the audit. Whether a cosignature holds, the directory's keys say.

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::super::rows;
use super::super::{Hub, stopping_status};
use super::parts::Stream;
use super::tree::Standing;
use super::{Signed, about, export};
use crate::journal::Reader;
use crate::ledger::view::View;
use crate::model::id::Index;
use crate::model::identity::Identity;
use crate::model::policy::{AuditPermit, Policy};
use crate::model::refusal::{Reason, Refusal};
use crate::proof::{EntryBundle, Note, SignatureLine, Tile, Tiles as _, TreeHash};
use crate::wire::log::{self, Log};
use crate::wire::proto::log_service_server::LogService;
use crate::wire::proto::{
    CosignRequest, CosignResponse, EntryProof, ExportEntriesRequest, ExportEntriesResponse,
    GetCheckpointRequest, GetCheckpointResponse, GetTilesRequest, GetTilesResponse, Newest,
    ProveEntriesRequest, ProveEntriesResponse, ProveMessageRequest, ProveMessageResponse,
};
use crate::wire::status;

/// Tiles, or proofs, that are asked for at once.
const ASKED_MAX: usize = 64;

/// The service.
#[derive(Clone)]
pub(in crate::hub) struct LogsAsked {
    pub(super) hub: Arc<Hub>,
}

/// What cannot be given.
pub(super) enum NotGiven {
    /// The caller's mistake.
    Refused(Refusal),
    /// A fault of this hub's.
    Failed(Status),
}

impl From<Refusal> for NotGiven {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl LogsAsked {
    /// Serves a hub.
    pub(in crate::hub) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Does in the lane of listings what reads the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        (caller, call): (&Identity, &str),
        read: impl FnOnce() -> Result<T, NotGiven> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        match self.hub.audits.run(read).await.map_err(|_| stopping_status())? {
            Ok(given) => Ok(Response::new(given)),
            Err(NotGiven::Refused(refusal)) => Err(self.hub.door.refuse(caller, call, &refusal)),
            Err(NotGiven::Failed(status)) => Err(status),
        }
    }
}

#[tonic::async_trait]
impl LogService for LogsAsked {
    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let (hub, asked, by) = (Arc::clone(&self.hub), request.into_inner(), caller.clone());
        self.read((&caller, "GetCheckpoint"), move || checkpoint(&hub, &by, &asked)).await
    }

    async fn get_tiles(
        &self,
        request: Request<GetTilesRequest>,
    ) -> Result<Response<GetTilesResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let (hub, asked) = (Arc::clone(&self.hub), request.into_inner());
        self.read((&caller, "GetTiles"), move || {
            count("paths", asked.paths.len())?;
            let standing = standing(&hub, Log::from_wire(asked.log)?)?;
            let tiles =
                asked.paths.iter().map(|path| tile(&standing.tree, path)).collect::<Result<_, _>>()?;
            Ok(GetTilesResponse { tiles })
        })
        .await
    }

    async fn prove_entries(
        &self,
        request: Request<ProveEntriesRequest>,
    ) -> Result<Response<ProveEntriesResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        // What was answered by now is in the ledger's rows, by which it is known who may see it.
        self.hub.settled().await?;
        let (hub, asked, by) = (Arc::clone(&self.hub), request.into_inner(), caller.clone());
        self.read((&caller, "ProveEntries"), move || prove(&hub, &by, &asked)).await
    }

    type ProveMessageStream = Stream<ProveMessageResponse>;

    async fn prove_message(
        &self,
        request: Request<ProveMessageRequest>,
    ) -> Result<Response<Self::ProveMessageStream>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let (asked, by) = (request.into_inner(), caller.clone());
        self.give((&caller, "ProveMessage"), move |hub| about::plan(hub, &by, &asked)).await
    }

    type ExportEntriesStream = Stream<ExportEntriesResponse>;

    async fn export_entries(
        &self,
        request: Request<ExportEntriesRequest>,
    ) -> Result<Response<Self::ExportEntriesStream>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let (asked, by) = (request.into_inner(), caller.clone());
        self.give((&caller, "ExportEntries"), move |hub| export::plan(hub, &by, &asked)).await
    }

    async fn cosign(&self, request: Request<CosignRequest>) -> Result<Response<CosignResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let (hub, asked, by) = (Arc::clone(&self.hub), request.into_inner(), caller.clone());
        self.read((&caller, "Cosign"), move || cosigned(&hub, &by, &asked)).await
    }
}

fn checkpoint(
    hub: &Hub,
    caller: &Identity,
    asked: &GetCheckpointRequest,
) -> Result<GetCheckpointResponse, NotGiven> {
    let (log, disputed_by) = (Log::from_wire(asked.log)?, hub.logs.disputes.list());
    let nothing = GetCheckpointResponse { disputed_by, ..GetCheckpointResponse::default() };
    let Some(signed) = hub.logs.of(log).signed() else { return Ok(nothing) };
    let round = |size: Option<u64>| {
        let rounds = hub.logs.of(log).rounds();
        let note = rounds.as_ref().zip(size).and_then(|(rounds, size)| rounds.note(size).transpose());
        note.transpose().map_err(|error| failed(&error)).map(Option::unwrap_or_default)
    };
    let size = |of: fn(&super::Rounds) -> Option<u64>| hub.logs.of(log).rounds().as_ref().and_then(of);
    let (note, size) = match Newest::try_from(asked.newest) {
        Ok(Newest::Signed) => (signed.note.clone(), Some(signed.tree.head.size)),
        Ok(Newest::ToCosign) => {
            let size = size(super::Rounds::newest);
            match own_of(hub, (log, caller), asked.known_size, (round(size)?, size))? {
                Some(note) => (note, size),
                None => return Ok(nothing),
            }
        }
        Ok(Newest::Witnessed) => {
            let size = size(super::Rounds::witnessed);
            // It has every office's cosignatures, and is asked for again and again while too few look.
            if asked.known_size > 0 && size <= Some(asked.known_size) {
                return Ok(nothing);
            }
            (round(size)?, size)
        }
        _ => {
            let message = format!("{} is no sort of checkpoint, 1 to 3 expected", asked.newest);
            return Err(Refusal::field("newest", message).into());
        }
    };
    let consistency = match size {
        Some(size) if (1..size).contains(&asked.known_size) => consistency(&signed, asked.known_size, size)?,
        _ => Vec::new(),
    };
    Ok(GetCheckpointResponse { note, consistency, ..nothing })
}

/// What a witness gets that knows a checkpoint already: the note with the hub's signatures and its own alone, and nothing where it
/// has cosigned that; it asks each minute, also on a slow line. Everybody else gets the note as it is.
fn own_of(
    hub: &Hub,
    (log, caller): (Log, &Identity),
    known_size: u64,
    (note, size): (Bytes, Option<u64>),
) -> Result<Option<Bytes>, NotGiven> {
    let policy = hub.door.view.policy();
    let Some(witness) = log::witness(&policy, caller).filter(|_| known_size > 0 && !note.is_empty()) else {
        return Ok(Some(note));
    };
    let signed = log::opened(&policy, log, &note).map_err(|error| failed(&error))?;
    let cosigned = witness.cosigned(signed.checkpoint(), signed.note());
    if size == Some(known_size) && matches!(cosigned, Ok(Some(_))) {
        return Ok(None);
    }
    let names = [signed.checkpoint().origin().as_str(), witness.name().as_str()];
    let kept = signed.note().lines().iter().filter(|line| names.contains(&line.name()));
    let own = Note::new(signed.note().text().to_owned(), kept.cloned().collect());
    Ok(Some(own.map_err(|error| failed(&error))?.to_string().into()))
}

fn consistency(signed: &Signed, old: u64, size: u64) -> Result<Vec<Bytes>, NotGiven> {
    let mut first = signed.first(size).map_err(|error| failed(&error))?;
    Ok(hashes(first.consistency(old).map_err(|error| failed(&error))?.hashes()))
}

pub(super) fn hashes(hashes: &[TreeHash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| Bytes::copy_from_slice(&hash.0)).collect()
}

/// The newest checkpoint of a log.
pub(super) fn standing(hub: &Hub, log: Log) -> Result<Arc<Signed>, NotGiven> {
    let none = || {
        let message = format!("the {} has no checkpoint yet: ask again in some seconds", log.name());
        Refusal::new(Reason::Busy, message).retry_after_ms(super::CHECKPOINT_EVERY_US / 1_000)
    };
    Ok(hub.logs.of(log).signed().ok_or_else(none)?)
}

fn tile(tree: &Standing, path: &str) -> Result<Bytes, NotGiven> {
    let beyond = || Refusal::field("paths", format!("{path} is in no tree of {} entries", tree.head.size));
    if let Ok(bundle) = path.parse::<EntryBundle>() {
        let there = Tile::in_tree(tree.head.size, 0, bundle.index());
        if there.is_none_or(|there| there.width() < bundle.width()) {
            return Err(beyond().into());
        }
        return tree.entries(bundle).map_err(|error| failed(&error));
    }
    let tile: Tile = path
        .parse()
        .map_err(|error: crate::proof::TilePathError| Refusal::field("paths", error.to_string()))?;
    let there = Tile::in_tree(tree.head.size, tile.level(), tile.index());
    if there.is_none_or(|there| there.width() < tile.width()) {
        return Err(beyond().into());
    }
    tree.tile(tile).map_err(|error| failed(&error))
}

fn prove(
    hub: &Hub,
    caller: &Identity,
    asked: &ProveEntriesRequest,
) -> Result<ProveEntriesResponse, NotGiven> {
    let log = Log::from_wire(asked.log)?;
    count("indexes", asked.indexes.len())?;
    let signed = standing(hub, log)?;
    let (newest, policy) = (signed.tree.head.size, hub.door.view.policy());
    if !(1..=newest).contains(&asked.size) {
        let message =
            format!("the log's newest checkpoint is over {newest} entries; this asks for {}", asked.size);
        return Err(Refusal::field("size", message).into());
    }
    let permit = match log {
        Log::Journal => Some(policy.permit_audit(caller)?),
        Log::Directory => None,
    };
    let mut first = signed.first(asked.size).map_err(|error| failed(&error))?;
    let mut proofs = Vec::with_capacity(asked.indexes.len());
    for index in &asked.indexes {
        if *index >= asked.size {
            let message = format!("entry {index} is not among the first {}", asked.size);
            return Err(Refusal::field("indexes", message).into());
        }
        let nonce = match permit {
            Some(permit) => nonce(&hub.journal, (&policy, &hub.door.view), permit, Index(*index))?,
            None => Bytes::new(),
        };
        let path = hashes(first.inclusion(*index).map_err(|error| failed(&error))?.hashes());
        proofs.push(EntryProof { nonce, path });
    }
    Ok(ProveEntriesResponse { proofs })
}

fn nonce(
    journal: &Reader,
    (policy, view): (&Policy, &View),
    permit: AuditPermit,
    index: Index,
) -> Result<Bytes, NotGiven> {
    let entry = journal.entry(index).map_err(|error| failed(&error))?;
    let seen = entry.filter(|entry| rows::may_see(policy, view, permit, entry).unwrap_or(false));
    let entry = seen.ok_or_else(|| {
        let message = format!("there is no entry {index} that the caller may see");
        Refusal::new(Reason::AuditNotAllowed, message).of_field("indexes")
    })?;
    Ok(Bytes::copy_from_slice(&entry.nonce))
}

fn cosigned(hub: &Hub, caller: &Identity, asked: &CosignRequest) -> Result<CosignResponse, NotGiven> {
    let log = Log::from_wire(asked.log)?;
    let policy = hub.door.view.policy();
    let witness = log::witness(&policy, caller).ok_or_else(|| {
        let message = format!("desks and witnesses cosign; the caller is {caller}");
        Refusal::new(Reason::RoleNotAllowed, message)
    })?;
    let lines: Vec<_> = asked
        .lines
        .iter()
        .map(|line| line.parse::<SignatureLine>())
        .collect::<Result<_, _>>()
        .map_err(|error| Refusal::field("lines", error.to_string()))?;
    let Ok(lines) = <[SignatureLine; 2]>::try_from(lines) else {
        return Err(Refusal::field("lines", "a cosignature has two lines, one by each algorithm").into());
    };
    let mut rounds = hub.logs.of(log).rounds();
    let over = || {
        let message =
            format!("no round of the {} is over {} entries: ask for the newest", log.name(), asked.size);
        Refusal::field("size", message)
    };
    let rounds = rounds.as_mut().ok_or_else(over)?;
    let note = rounds.note(asked.size).map_err(|error| failed(&error))?.ok_or_else(over)?;
    let mut signed = log::opened(&policy, log, &note).map_err(|error| failed(&error))?;
    witness
        .verify(signed.checkpoint(), &lines)
        .map_err(|error| Refusal::new(Reason::SignatureInvalid, format!("the cosignature: {error}")))?;
    let mut news = false;
    for line in lines {
        news |= signed.add(line).map_err(|error| Refusal::field("lines", error.to_string()))?;
    }
    let tally = log::quorum(&policy).ok().and_then(|quorum| quorum.tally(&signed).ok());
    let witnessed = tally.is_some_and(|tally| tally.is_enough());
    if let (Log::Journal, Identity::Desk(desk)) = (log, caller) {
        hub.disputes(desk, false);
    }
    if news {
        let kept = rounds.keep(asked.size, signed.note().to_string().as_bytes(), witnessed);
        kept.map_err(|error| failed(&error))?;
    }
    Ok(CosignResponse { witnessed })
}

fn count(field: &'static str, found: usize) -> Result<(), Refusal> {
    if (1..=ASKED_MAX).contains(&found) {
        return Ok(());
    }
    Err(Refusal::field(field, format!("1 to {ASKED_MAX} are given at once; this asks for {found}")))
}

pub(super) fn failed(error: &dyn std::fmt::Display) -> NotGiven {
    NotGiven::Failed(fault(error))
}

pub(super) fn fault(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "a log cannot be read");
    status::fault()
}
