//! The hub's logs as somebody asks for them: signed checkpoints, and that each goes on from the one before.

use std::time::Duration;

use resguardo::proof::{ConsistencyProof, LogVerifier, TreeHash, TreeHead};
use resguardo::wire::amendment;
use resguardo::wire::log::Log;
use resguardo::wire::proto::log_service_client::LogServiceClient;
use resguardo::wire::proto::{GetCheckpointRequest, Newest};
use tonic::transport::Channel;

use crate::stage::client::Desk;
use crate::stage::founding::hub_key;
use crate::stage::wait::within;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Somebody who asks.
pub(crate) struct Logs {
    client: LogServiceClient<Channel>,
    founding: [u8; 32],
}

impl Logs {
    /// Asks over a desk's connection.
    pub(crate) async fn by(desk: &Desk) -> Self {
        let entries = desk.directory().await.expect("the directory is told").entries;
        let founding = amendment::read(&entries[0]).expect("a founding").digest();
        Self { client: LogServiceClient::new(desk.channel.clone()), founding }
    }

    /// Waits for a checkpoint over so many entries; gives its tree.
    pub(crate) async fn over(&mut self, log: Log, size: u64) -> TreeHead {
        let looks = async {
            loop {
                if let Some((tree, _)) = self.newest(log, 0).await
                    && tree.size >= size
                {
                    return tree;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        within(&format!("a checkpoint of the {} over {size} entries", log.name()), looks).await
    }

    /// The newest tree of a log, once there is one that is not smaller than a tree that was shown before: it is proved to
    /// go on from that one.
    pub(crate) async fn after(&mut self, log: Log, before: &TreeHead) -> Result<TreeHead, String> {
        self.over(log, before.size).await;
        let (tree, proof) = self.newest(log, before.size).await.ok_or("there is no checkpoint any more")?;
        if tree.size == before.size {
            let same = tree.root == before.root;
            return same.then_some(tree).ok_or_else(|| format!("two trees of {} entries", tree.size));
        }
        proof.verify(before, &tree).map_err(|error| format!("{before:?} and {tree:?}: {error}"))?;
        Ok(tree)
    }

    async fn newest(&mut self, log: Log, known_size: u64) -> Option<(TreeHead, ConsistencyProof)> {
        let request = GetCheckpointRequest { log: log.to_wire(), newest: Newest::Signed.into(), known_size };
        let given = within("a checkpoint is given", self.client.get_checkpoint(request)).await;
        let given = given.expect("the hub keeps its logs").into_inner();
        if given.note.is_empty() {
            return None;
        }
        let verifier = LogVerifier::new(log.origin(&self.founding), &hub_key().verifying_key());
        let tree = *verifier.open(&given.note).expect("the hub's own checkpoint").checkpoint().tree();
        let hash = |hash: &bytes::Bytes| TreeHash(hash.as_ref().try_into().expect("a hash"));
        let proof = ConsistencyProof::from_hashes(given.consistency.iter().map(hash).collect());
        Some((tree, proof.expect("hashes of a proof")))
    }
}
