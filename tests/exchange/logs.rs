//! The hub's logs over the line: checkpoints, tiles and proofs agree with what happened, and a cosignature counts only from whose
//! it is.

use std::time::Duration;

use bytes::Bytes;
use resguardo::model::entry::{Entry, EntryKind, Payload};
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::identity::Identity;
use resguardo::proof::{
    ConsistencyProof, EntryBundle, Frontier, InclusionProof, LogVerifier, SignedCheckpoint, Tile, TreeHash,
    TreeHead, UnixSeconds, bundles_of_growth, tiles_of_growth,
};
use resguardo::seal::SigningKey;
use resguardo::wire::amendment;
use resguardo::wire::log::{Log, Recorded, directory_record, key_name};
use resguardo::wire::proto::log_service_client::LogServiceClient;
use resguardo::wire::proto::{
    CosignRequest, CosignResponse, EntryProof, EntryRow, GetCheckpointRequest, GetTilesRequest, Newest,
    ProveEntriesRequest,
};
use tonic::Status;
use tonic::transport::Channel;

use crate::stage::audit::all;
use crate::stage::client::{Auditor, Desk};
use crate::stage::founding::{desk_keys, hub_key};
use crate::stage::statement::received;
use crate::stage::told::told;
use crate::stage::{Setup, Stage};
use crate::{COLOMBIA, HONDURAS, IACHR, MEXICO};

/// The two logs of a hub, as somebody asks about them.
struct Asked {
    client: LogServiceClient<Channel>,
    founding: [u8; 32],
}

impl Asked {
    async fn by(desk: &Desk) -> Self {
        let entries = desk.directory().await.expect("a step of the test").entries;
        let founding = amendment::read(&entries[0]).expect("a step of the test").digest();
        Self { client: LogServiceClient::new(desk.channel.clone()), founding }
    }

    /// A checkpoint that holds, and the hashes that prove that it goes on from a size.
    async fn checkpoint(
        &mut self,
        log: Log,
        newest: Newest,
        known_size: u64,
    ) -> Option<(SignedCheckpoint, Vec<Bytes>)> {
        let request = GetCheckpointRequest { log: log.to_wire(), newest: newest as i32, known_size };
        let given = self.client.get_checkpoint(request).await.expect("a step of the test").into_inner();
        let verifier = LogVerifier::new(log.origin(&self.founding), &hub_key().verifying_key());
        (!given.note.is_empty())
            .then(|| (verifier.open(&given.note).expect("a step of the test"), given.consistency))
    }

    /// Waits for a checkpoint over so many entries.
    async fn over(&mut self, log: Log, newest: Newest, size: u64) -> SignedCheckpoint {
        for _ in 0..600 {
            if let Some((signed, _)) = self.checkpoint(log, newest, 0).await
                && signed.checkpoint().tree().size >= size
            {
                return signed;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no checkpoint over {size} entries came");
    }

    async fn prove(&mut self, log: Log, size: u64, indexes: Vec<u64>) -> Result<Vec<EntryProof>, Status> {
        let request = ProveEntriesRequest { log: log.to_wire(), size, indexes };
        Ok(self.client.prove_entries(request).await?.into_inner().proofs)
    }

    async fn tiles(&mut self, log: Log, paths: Vec<String>) -> Result<Vec<Bytes>, Status> {
        Ok(self.client.get_tiles(GetTilesRequest { log: log.to_wire(), paths }).await?.into_inner().tiles)
    }

    async fn cosign(&mut self, size: u64, lines: Vec<String>) -> Result<CosignResponse, Status> {
        let request = CosignRequest { log: Log::Journal.to_wire(), size, lines };
        Ok(self.client.cosign(request).await?.into_inner())
    }
}

fn hashes(bytes: &[Bytes]) -> Vec<TreeHash> {
    bytes.iter().map(|hash| TreeHash(hash.as_ref().try_into().expect("a step of the test"))).collect()
}

/// The leaf of an entry as an auditor lists it.
fn leaf(row: &EntryRow, nonce: &Bytes) -> TreeHash {
    let entry = Entry {
        index: Index(row.index),
        time: UnixMicros(row.recorded_unix_us),
        nonce: nonce.as_ref().try_into().expect("a step of the test"),
        kind: EntryKind::from_number(row.kind.try_into().expect("a step of the test"))
            .expect("a step of the test"),
        identity: row.identity.clone(),
        statement: row.statement.clone(),
        payload: Payload::None,
    };
    Recorded::from(&entry).record(&entry.nonce).leaf()
}

fn proves(proof: &EntryProof, leaf: &TreeHash, index: u64, tree: &TreeHead) -> bool {
    InclusionProof::from_hashes(hashes(&proof.path))
        .expect("a step of the test")
        .verify(leaf, index, tree)
        .is_ok()
}

async fn entries(auditor: &Auditor) -> Vec<EntryRow> {
    auditor.entries(all()).await.expect("a step of the test")
}

#[tokio::test]
async fn checkpoints_tiles_and_proofs_agree_with_every_entry_of_the_journal() {
    let stage = Stage::open_with(Setup::fast()).await;
    let (sender, desk) = (stage.desk(HONDURAS).await, stage.desk(IACHR).await);
    let auditor = stage.auditor("ohchr").await;
    let mut asked = Asked::by(&sender).await;
    let first = asked.over(Log::Journal, Newest::Signed, 1).await;
    let drafts: Vec<_> = (0..300).map(|_| sender.draft(&[IACHR])).collect();
    sender.send_all(&drafts, 100).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(300).await;
    subscription.record(&received(&desk.identity, &came)).await;
    let rows = entries(&auditor).await;
    let signed = asked.over(Log::Journal, Newest::Signed, rows.len() as u64).await;
    let tree = *signed.checkpoint().tree();

    // It goes on from the first.
    let known = *first.checkpoint().tree();
    let (again, proof) =
        asked.checkpoint(Log::Journal, Newest::Signed, known.size).await.expect("a step of the test");
    let proof = ConsistencyProof::from_hashes(hashes(&proof)).expect("a step of the test");
    assert_eq!(proof.verify(&known, again.checkpoint().tree()), Ok(()));

    // Every entry is in it where it stands, and nowhere else.
    let mut by_auditor = Asked { client: LogServiceClient::new(auditor.channel.clone()), ..asked };
    for page in rows.chunks(64) {
        let indexes: Vec<_> = page.iter().map(|row| row.index).collect();
        let proofs = by_auditor.prove(Log::Journal, tree.size, indexes).await.expect("a step of the test");
        for (row, proof) in page.iter().zip(&proofs) {
            let leaf = leaf(row, &proof.nonce);
            assert!(proves(proof, &leaf, row.index, &tree), "entry {}", row.index);
            assert!(!proves(proof, &leaf, row.index ^ 1, &tree));
        }
    }

    // The tiles come to the same root, and the bundles to the same leaves.
    let paths: Vec<_> = bundles_of_growth(0, tree.size).map(|bundle| bundle.to_string()).collect();
    let bundles = by_auditor.tiles(Log::Journal, paths.clone()).await.expect("a step of the test");
    let (mut frontier, mut leaves) = (Frontier::new(), Vec::new());
    for (bundle, bytes) in bundles_of_growth(0, tree.size).zip(&bundles) {
        let records =
            EntryBundle::new(bundle.index(), u16::try_from(bytes.len() / 34).expect("a step of the test"))
                .expect("a step of the test");
        leaves.extend(records.leaves(bytes).expect("a step of the test"));
    }
    leaves.truncate(usize::try_from(tree.size).expect("a step of the test"));
    for leaf in &leaves {
        frontier.append(*leaf);
    }
    assert_eq!(frontier.root(), tree.root);
    let paths = tiles_of_growth(0, tree.size).map(|tile| tile.to_string()).collect();
    let tiles = by_auditor.tiles(Log::Journal, paths).await.expect("a step of the test");
    assert_eq!(tiles[0].len(), 256 * 32);
    assert!(tiles[0].starts_with(&leaves[0].0));
    let beyond = Tile::new(0, 9, 256).expect("a step of the test").to_string();
    told(by_auditor.tiles(Log::Journal, vec![beyond]).await)
        .expect_reason("FIELD_INVALID")
        .expect_field("paths");

    // The directory's entries are no secret: whoever has them makes its root.
    let directory = by_auditor.over(Log::Directory, Newest::Signed, 1).await;
    let mut frontier = Frontier::new();
    for entry in sender.directory().await.expect("a step of the test").entries {
        frontier.append(directory_record(&entry).leaf());
    }
    assert_eq!(frontier.root(), directory.checkpoint().tree().root);
}

#[tokio::test]
async fn nonces_are_told_to_whom_the_audit_would_show_the_entry() {
    let stage = Stage::open().await;
    let (sender, other) = (stage.desk(HONDURAS).await, stage.desk(COLOMBIA).await);
    let accepted = sender.send(&sender.draft(&[IACHR, MEXICO])).await;
    let mut by_sender = Asked::by(&sender).await;
    let size =
        by_sender.over(Log::Journal, Newest::Signed, accepted.index + 1).await.checkpoint().tree().size;
    for (desk, may) in [(&sender, true), (&stage.desk(IACHR).await, true), (&other, false)] {
        let mut asked = Asked::by(desk).await;
        let proved = asked.prove(Log::Journal, size, vec![accepted.index]).await;
        assert_eq!(proved.is_ok(), may, "{}", desk.identity);
        if !may {
            told(proved).expect_reason("AUDIT_NOT_ALLOWED");
        }
        // The founding is everybody's.
        assert!(asked.prove(Log::Journal, size, vec![0]).await.is_ok());
    }
    told(by_sender.prove(Log::Journal, size + 1_000, vec![0]).await).expect_field("size");
    told(by_sender.prove(Log::Journal, size, vec![size]).await).expect_field("indexes");
    told(by_sender.prove(Log::Journal, size, Vec::new()).await).expect_field("indexes");
}

fn lines(round: &SignedCheckpoint, identity: &str, key: &SigningKey, seconds: u64) -> Vec<String> {
    let name = key_name(&identity.parse::<Identity>().expect("a step of the test"));
    let at = UnixSeconds::new(seconds).expect("a step of the test");
    round.checkpoint().cosign(&name, key, at).iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_cosignature_counts_from_whose_it_is_alone_and_a_quorum_is_of_both_institutions() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut asked = Asked::by(&desk).await;
    let accepted = desk.send(&desk.draft(&[IACHR]).urgent()).await;
    let round = asked.over(Log::Journal, Newest::ToCosign, accepted.index + 1).await;
    let size = round.checkpoint().tree().size;
    let [attended, unattended] = desk_keys(&desk.identity);
    let good = lines(&round, &desk.identity, &unattended, 1_700_000_000);
    let by_attended = lines(&round, &desk.identity, &attended, 1_700_000_000);
    told(asked.cosign(size, by_attended).await).expect_reason("SIGNATURE_INVALID");
    told(asked.cosign(size + 1, good.clone()).await).expect_field("size");
    told(asked.cosign(size, vec![good[0].clone()]).await).expect_field("lines");
    told(asked.cosign(size, vec![good[0].clone(), good[0].clone()]).await).expect_reason("SIGNATURE_INVALID");
    let of_another_time = lines(&round, &desk.identity, &unattended, 1_700_000_001);
    let mixed = vec![good[0].clone(), of_another_time[1].clone()];
    told(asked.cosign(size, mixed).await).expect_reason("SIGNATURE_INVALID");
    let auditor = stage.auditor("ohchr").await;
    let mut by_auditor =
        Asked { client: LogServiceClient::new(auditor.channel.clone()), ..Asked::by(&desk).await };
    told(by_auditor.cosign(size, good.clone()).await).expect_reason("ROLE_NOT_ALLOWED");
    // Somebody else's lines in one's own call.
    let mut by_other = Asked::by(&stage.desk(COLOMBIA).await).await;
    told(by_other.cosign(size, good.clone()).await).expect_reason("SIGNATURE_INVALID");

    assert!(!asked.cosign(size, good.clone()).await.expect("a step of the test").witnessed);
    assert!(
        !asked.cosign(size, good).await.expect("a step of the test").witnessed,
        "the same office does not count twice"
    );
    for office in [COLOMBIA, MEXICO, "ohchr-guatemala"] {
        let desk = stage.desk(office).await;
        let [_, key] = desk_keys(&desk.identity);
        let mut asked = Asked::by(&desk).await;
        let cosigned = asked.cosign(size, lines(&round, &desk.identity, &key, 1_700_000_002)).await;
        assert!(
            !cosigned.expect("a step of the test").witnessed,
            "four offices of one institution are no quorum"
        );
    }
    assert!(asked.checkpoint(Log::Journal, Newest::Witnessed, 0).await.is_none());
    let desk = stage.desk(IACHR).await;
    let [_, key] = desk_keys(&desk.identity);
    let mut by_headquarters = Asked::by(&desk).await;
    let cosigned = by_headquarters.cosign(size, lines(&round, &desk.identity, &key, 1_700_000_003)).await;
    assert!(cosigned.expect("a step of the test").witnessed);

    // Who asks again and again is told in some bytes that there is nothing to do, and never the others' cosignatures.
    let (own, _) =
        asked.checkpoint(Log::Journal, Newest::ToCosign, size - 1).await.expect("there is a round");
    let names: Vec<_> = own.note().lines().iter().map(|line| line.name().to_owned()).collect();
    let hub = own.checkpoint().origin().as_str();
    assert!(names.iter().filter(|name| *name == hub).count() == 2 && names.len() == 4, "{names:?}");
    let newest = asked.checkpoint(Log::Journal, Newest::Signed, 0).await.expect("it is signed");
    if newest.0.checkpoint().tree().size == size {
        assert!(asked.checkpoint(Log::Journal, Newest::ToCosign, size).await.is_none());
    }
    let (all, _) = asked.checkpoint(Log::Journal, Newest::ToCosign, 0).await.expect("there is a round");
    assert!(all.note().lines().len() > 4);
    // Who has not cosigned it is shown it again.
    let mut by_other = Asked::by(&stage.desk("ohchr-south-america").await).await;
    assert!(by_other.checkpoint(Log::Journal, Newest::ToCosign, size).await.is_some());
    let (witnessed, _) =
        asked.checkpoint(Log::Journal, Newest::Witnessed, 0).await.expect("a step of the test");
    assert_eq!(witnessed.checkpoint(), round.checkpoint());
}

#[tokio::test]
async fn an_urgent_message_begins_one_round_which_has_it() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut asked = Asked::by(&desk).await;
    let first = asked.over(Log::Journal, Newest::ToCosign, 1).await.checkpoint().tree().size;
    // A newer checkpoint than the round's: the urgent message is in neither.
    let ordinary = desk.send(&desk.draft(&[IACHR])).await;
    asked.over(Log::Journal, Newest::Signed, ordinary.index + 1).await;
    let urgent = desk.send(&desk.draft(&[IACHR]).urgent()).await;
    let mut rounds = vec![first];
    let mut ordinary = None;
    loop {
        let (round, _) = asked.checkpoint(Log::Journal, Newest::ToCosign, 0).await.expect("there is a round");
        let size = round.checkpoint().tree().size;
        if rounds.last() != Some(&size) {
            rounds.push(size);
        }
        // One checkpoint more, for which no round is to begin.
        if size > urgent.index && ordinary.is_none() {
            ordinary = Some(desk.send(&desk.draft(&[IACHR])).await.index);
        }
        if let Some(index) = ordinary {
            let (signed, _) = asked.checkpoint(Log::Journal, Newest::Signed, 0).await.expect("it is signed");
            if signed.checkpoint().tree().size > index {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(rounds.len() == 2 && rounds[1] > urgent.index, "{rounds:?}, urgent: {}", urgent.index);
}
