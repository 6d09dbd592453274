//! What other offices say, in the receipts that they sign, of the hub's journal: which checkpoint they had seen, and whether they
//! dispute it.
//!
//! Owns the lists of who disputes it, in `logs/` of a home: `told` by receipts, which no word of the hub's shortens, and
//! `told-by-hub`. A hub that shows two histories cannot keep this from their readers without keeping the receipts from them. Never
//! says that somebody who disputes is right.

use std::collections::BTreeSet;

use tonic::transport::Channel;

use super::home::Home;
use super::witness::{self, FOLDER, WitnessError, follows};
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::policy::Policy;
use crate::model::receipt::{Receipt, SeenLog};
use crate::proof::{SignedCheckpoint, TreeHash, TreeHead};
use crate::wire::log::Log;
use crate::wire::proto::log_service_client::LogServiceClient;
use crate::wire::proto::{GetCheckpointRequest, Newest};
use crate::wire::status::CallError;

const TOLD: &str = "told";
const TOLD_BY_HUB: &str = "told-by-hub";
/// Bytes of each at most: some hundred desks.
const TOLD_BYTES_MAX: u64 = 64 * 1024;
/// Names that are taken from the hub: a list that could not be read again would keep this home from looking at the logs.
const TOLD_BY_HUB_MAX: usize = 128;

/// The desks that dispute the hub's logs, as far as this home was told: their names in certificates, ascending.
///
/// # Errors
/// [`WitnessError::Disk`]
pub fn disputed_by(home: &Home) -> Result<BTreeSet<String>, WitnessError> {
    Ok(&read(home, TOLD)? | &read(home, TOLD_BY_HUB)?)
}

fn read(home: &Home, list: &str) -> Result<BTreeSet<String>, WitnessError> {
    let path = home.dir().join(FOLDER).join(list);
    match home.disk().read(&path, TOLD_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(WitnessError::Disk { path, error }),
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()),
    }
}

/// Notes who disputes the logs, as the hub tells it.
///
/// # Errors
/// [`WitnessError::Disk`]
pub(super) fn told(home: &Home, by: &[String]) -> Result<(), WitnessError> {
    let desk = |name: &String| match name.parse() {
        Ok(identity @ Identity::Desk(_)) if identity != home.settings().identity => {
            Some(identity.to_string())
        }
        _ => None,
    };
    keep(home, TOLD_BY_HUB, &by.iter().filter_map(desk).take(TOLD_BY_HUB_MAX).collect())
}

fn keep(home: &Home, list: &str, desks: &BTreeSet<String>) -> Result<(), WitnessError> {
    if read(home, list)? == *desks {
        return Ok(());
    }
    let lines = desks.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    witness::write(home, &home.dir().join(FOLDER).join(list), lines.as_bytes())
}

/// Holds what receipts, whose signatures hold, say of the journal to what this home has seen of it.
///
/// # Errors
/// [`WitnessError::Found`] where they saw another history; [`WitnessError`] where that cannot be told.
pub async fn hold<'a>(
    home: &Home,
    channel: &Channel,
    policy: &Policy,
    now: UnixMicros,
    receipts: impl IntoIterator<Item = &'a Receipt>,
) -> Result<(), WitnessError> {
    for receipt in receipts {
        let Some(seen) = &receipt.seen else { continue };
        let mut desks = read(home, TOLD)?;
        let desk = receipt.desk.to_string();
        if seen.disputed {
            desks.insert(desk)
        } else {
            desks.remove(&desk)
        };
        keep(home, TOLD, &desks)?;
        if !seen.disputed {
            Held { home, channel, policy, now }.hold(receipt, seen).await?;
        }
    }
    Ok(())
}

struct Held<'a> {
    home: &'a Home,
    channel: &'a Channel,
    policy: &'a Policy,
    now: UnixMicros,
}

impl Held<'_> {
    async fn hold(&self, receipt: &Receipt, seen: &SeenLog) -> Result<(), WitnessError> {
        let theirs = TreeHead { size: seen.size, root: TreeHash(seen.root) };
        let Some(own) = self.own()? else { return Ok(()) };
        if *own.checkpoint().tree() == theirs {
            return Ok(());
        }
        // Rounds of witnesses only grow: after a look this home has seen as much as any other by then.
        witness::look(self.home, self.channel.clone(), self.policy, self.now).await?;
        let (Some(own), Some(ours)) = (self.own()?, witness::seen(self.home)) else { return Ok(()) };
        let later = usize::try_from(seen.restores).unwrap_or(usize::MAX);
        if seen.restores > ours.restores {
            return Ok(());
        }
        let since = self.policy.restored().get(later..).unwrap_or_default();
        if since.iter().any(|restored| restored.kept < seen.size) {
            // It was of a history that a restore has cut, which registrars have signed.
            return Ok(());
        }
        let (own_tree, by) = (*own.checkpoint().tree(), &receipt.desk);
        let why = if own_tree.size < theirs.size {
            format!("{by} has verified {} entries, and the hub shows {} here", theirs.size, own_tree.size)
        } else {
            let grown = own_tree.size > theirs.size;
            let proof = if grown { self.proof(&own, theirs.size).await? } else { Some(Vec::new()) };
            let Some(proof) = proof else { return Ok(()) };
            match follows(&theirs, &own_tree, &proof) {
                Ok(()) => return Ok(()),
                Err(why) => format!("{by} has seen another history than this home: {why}"),
            }
        };
        Err(witness::found_out(self.home, Log::Journal, &why, (&own, &own), None))
    }

    fn own(&self) -> Result<Option<SignedCheckpoint>, WitnessError> {
        witness::last(self.home, self.policy, Log::Journal)
    }

    /// The proof that this home's last checkpoint goes on from a size; `None`: another round has begun, the next receipt shows it.
    async fn proof(
        &self,
        own: &SignedCheckpoint,
        size: u64,
    ) -> Result<Option<Vec<bytes::Bytes>>, WitnessError> {
        let (log, newest) = (Log::Journal.to_wire(), Newest::ToCosign as i32);
        let asked = GetCheckpointRequest { log, newest, known_size: size };
        let mut client = LogServiceClient::new(self.channel.clone());
        let given = client.get_checkpoint(asked).await.map_err(CallError::from)?.into_inner();
        if given.note.is_empty() {
            return Ok(None);
        }
        let signed = witness::open(self.policy, Log::Journal, &given.note)?;
        Ok((signed.checkpoint() == own.checkpoint()).then_some(given.consistency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::host::disk::MemoryDisk;

    #[test]
    fn no_list_of_the_hubs_keeps_a_home_from_looking_or_is_more_than_names_of_desks() {
        let home = home_on(&MemoryDisk::new());
        let own = home.settings().identity.to_string();
        let desk = |number| format!("urn:resguardo:office:{number:064}:{number:064}");
        let mut by: Vec<_> = (0..2_000).map(desk).collect();
        by.extend([own.clone(), "\u{1b}[2J".into(), "x\ny".into(), "urn:resguardo:hub:dev".into()]);
        told(&home, &by).unwrap();
        let kept = disputed_by(&home).unwrap();
        assert!(kept.len() <= TOLD_BY_HUB_MAX && !kept.contains(&own), "{}", kept.len());
        told(&home, &by[2_000..]).unwrap();
        assert!(disputed_by(&home).unwrap().is_empty());
    }
}
