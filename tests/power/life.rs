//! A hub's life, recorded: publishes, receipts, packets' files, segments, checkpoints, backups, a stop, a rebuild, a new start.
//!
//! Owns what is done and when it was confirmed: each confirmation is a mark on the tape, behind the answer that gave it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use resguardo::proof::TreeHead;
use resguardo::wire::log::Log;
use resguardo::wire::proto::upload_request::Frame;
use resguardo::wire::proto::{Accepted, Delivery, FileRef, Recorded};

use crate::logs::Logs;
use crate::stage::chance::Chance;
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::statement::{self, Receipt};
use crate::stage::subscription::Subscription;
use crate::stage::transfer::file_of;
use crate::stage::{Setup, Stage};
use crate::tape::{Record, Tape, text};

/// Who hands in by stream, who by single calls and with files.
pub(crate) const STREAMING: &str = "ohchr-honduras";
pub(crate) const CALLING: &str = "ohchr-guatemala";
/// Who receives everything, and who receives half of it and acknowledges half of that.
pub(crate) const HEADQUARTERS: &str = "iachr";
pub(crate) const HALF: &str = "ohchr-mexico";

/// Rounds of traffic before files: with their receipts they are more entries than a tile is wide, and fill some segments.
const ROUNDS: usize = 6;
/// Messages of a round, by stream and by single calls.
const BY_STREAM: usize = 32;
const BY_CALLS: usize = 8;
const FRAME_MESSAGES: usize = 8;
/// Bytes of a payload at most: 200 messages are then some segments of a MiB.
const PAYLOAD_BYTES_MAX: usize = 40_000;

/// What somebody knows for certain.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// What the hub is busy with from here on.
    Phase(&'static str),
    /// A message was confirmed.
    Published { id: Bytes, accepted: Accepted },
    /// A receipt was confirmed.
    Stated { office: String, receipt: Receipt, bytes: Bytes, recorded: Recorded },
    /// A file was told to be whole.
    Whole { office: &'static str, content: Bytes },
    /// A checkpoint was shown.
    Shown { log: Log, tree: TreeHead },
    /// A backup was told to be made, of so many entries at least.
    BackedUp { entries: u64 },
}

/// The hub, and what was done with it.
pub(crate) struct Life {
    pub(crate) stage: Stage,
    tape: Tape,
    drafts: Mutex<HashMap<Bytes, Draft>>,
    facts: Mutex<Vec<Fact>>,
}

/// What is left to look at when it is over.
pub(crate) struct Lived {
    pub(crate) stage: Stage,
    /// Every message that was handed in, once or more.
    pub(crate) drafts: HashMap<Bytes, Draft>,
    /// What was known, by the number of its mark.
    pub(crate) facts: Vec<Fact>,
    pub(crate) records: Vec<Record>,
    /// The folders that stand for the disks of the hub and of the backup.
    pub(crate) roots: [PathBuf; 2],
}

impl Life {
    /// A founded hub that does not run yet; all that it has is synced.
    pub(crate) async fn founded() -> Self {
        let mut stage = Stage::prepare(Setup::fast()).await;
        let roots = [stage.home(), stage.folder().join("backup")];
        std::fs::create_dir(&roots[1]).expect("a folder for the backup");
        let tape = Tape::of(&roots, &stage.folder().join("tape"));
        stage.environment = tape.environment();
        Self { stage, tape, drafts: Mutex::default(), facts: Mutex::default() }
    }

    /// The folders that stand for machines' disks: the hub's and the backup's.
    pub(crate) fn roots(&self) -> [PathBuf; 2] {
        [self.stage.home(), self.stage.folder().join("backup")]
    }

    /// Lives it to its end.
    pub(crate) async fn live(mut self, chance: &mut Chance) -> Lived {
        self.know(Fact::Phase("start"));
        self.stage.start().await;
        self.know(Fact::Phase("publishes, receipts, segments"));
        for _ in 0..ROUNDS {
            self.traffic(chance).await;
        }
        self.know(Fact::Phase("packets' files"));
        self.packets(chance).await;
        self.know(Fact::Phase("checkpoints"));
        self.checkpoints().await;
        self.traffic(chance).await;
        self.checkpoints().await;
        self.know(Fact::Phase("backup"));
        self.back_up().await;
        self.traffic(chance).await;
        self.back_up().await;
        self.know(Fact::Phase("stop"));
        assert!(self.stage.stop().await.success(), "an ordered stop ends well");
        self.know(Fact::Phase("rebuild"));
        let rebuilt = self.stage.program(&["hub", "rebuild"]).await;
        assert!(rebuilt.status.success(), "{rebuilt:?}");
        self.know(Fact::Phase("second run"));
        self.stage.start().await;
        self.traffic(chance).await;
        self.checkpoints().await;
        self.stage.kill().await;
        let roots = self.roots();
        let Self { mut stage, tape, drafts, facts } = self;
        stage.environment.clear();
        let drafts = drafts.into_inner().expect("nobody panicked over drafts");
        let facts = facts.into_inner().expect("nobody panicked over facts");
        Lived { stage, drafts, facts, records: tape.records(), roots }
    }

    fn know(&self, fact: Fact) {
        let mut facts = self.facts.lock().expect("nobody panicked over facts");
        self.tape.mark(facts.len() as u64);
        facts.push(fact);
    }

    fn draft(&self, sender: &Desk, chance: &mut Chance) -> Draft {
        let payload: Vec<u8> = random(chance, 1_000);
        let to: &[&str] = if chance.below(2) == 0 { &[HEADQUARTERS] } else { &[HEADQUARTERS, HALF] };
        let length = 1 + chance.place(PAYLOAD_BYTES_MAX);
        let draft = sender.draft(to).payload(payload.into_iter().cycle().take(length).collect::<Vec<_>>());
        let draft = if chance.below(20) == 0 { draft.urgent() } else { draft };
        self.hand_in(draft)
    }

    fn hand_in(&self, draft: Draft) -> Draft {
        self.drafts.lock().expect("nobody panicked over drafts").insert(draft.id(), draft.clone());
        draft
    }

    fn confirmed(&self, draft: &Draft, accepted: Accepted) {
        self.know(Fact::Published { id: draft.id(), accepted });
    }

    /// Messages by two desks at once, while two others receive and acknowledge.
    async fn traffic(&self, chance: &mut Chance) {
        let (streaming, calling) = (self.stage.desk(STREAMING).await, self.stage.desk(CALLING).await);
        let by_stream: Vec<_> = (0..BY_STREAM).map(|_| self.draft(&streaming, chance)).collect();
        let by_calls: Vec<_> = (0..BY_CALLS).map(|_| self.draft(&calling, chance)).collect();
        let halfs =
            by_stream.iter().chain(&by_calls).filter(|draft| draft.envelope.recipients.len() > 1).count();
        let streams = async {
            for frame in by_stream.chunks(FRAME_MESSAGES) {
                for (draft, accepted) in frame.iter().zip(streaming.send_all(frame, frame.len()).await) {
                    self.confirmed(draft, accepted);
                }
            }
        };
        let calls = async {
            for draft in &by_calls {
                self.confirmed(draft, calling.send(draft).await);
            }
        };
        let mut bits = Chance::seeded(chance.bits());
        let headquarters = self.receive(HEADQUARTERS, BY_STREAM + BY_CALLS, &mut bits);
        tokio::join!(streams, calls, headquarters);
        self.receive(HALF, halfs / 2, chance).await;
    }

    async fn receive(&self, office: &str, count: usize, chance: &mut Chance) {
        let desk = self.stage.desk(office).await;
        let mut subscription = desk.subscribe().await;
        let mut left = count;
        while left > 0 {
            let some = subscription.next((1 + chance.place(12)).min(left)).await;
            left -= some.len();
            let receipt = statement::received(&desk.identity, &some);
            self.state(&mut subscription, office, receipt).await;
            if chance.below(4) == 0 {
                self.state(&mut subscription, office, statement::read(&desk.identity, one_of(&some, chance)))
                    .await;
            }
        }
    }

    async fn state(&self, subscription: &mut Subscription, office: &str, receipt: Receipt) {
        let bytes = statement::bytes(&receipt);
        let results = subscription.state_bytes(vec![bytes.clone()]).await;
        let recorded = statement::recorded(&results[0]);
        self.know(Fact::Stated { office: office.to_owned(), receipt, bytes, recorded });
    }

    /// Files that come whole, two of them for a packet, and one that stays half way.
    async fn packets(&self, chance: &mut Chance) {
        let desk = self.stage.desk(CALLING).await;
        for _ in 0..2 {
            let mut files: Vec<FileRef> = Vec::new();
            for bytes in [70_000, 1_500_000] {
                let content: Bytes = random(chance, bytes).into();
                files.push(desk.hand_up(&content).await.expect("the file goes up"));
                self.know(Fact::Whole { office: CALLING, content });
            }
            let packet = self.hand_in(desk.packet(&[HEADQUARTERS], files));
            self.confirmed(&packet, desk.send(&packet).await);
        }
        let half = random(chance, 3_000_000);
        desk.begin_upload(file_of(&half)).await.expect("the file is announced");
        let mut upload = desk.upload(file_of(&half), 0).await.expect("the upload begins");
        upload.send(Frame::Chunk(Bytes::copy_from_slice(&half[..200_000]))).await;
        upload.send_all(&half[200_000..2_000_000]).await;
        upload.synced(1_000_000).await;
        self.receive(HEADQUARTERS, 2, chance).await;
    }

    /// Waits for a checkpoint of each log over all that was confirmed.
    async fn checkpoints(&self) {
        let desk = self.stage.desk(HALF).await;
        let mut logs = Logs::by(&desk).await;
        let confirmed = |facts: &[Fact]| {
            let indexes = facts.iter().filter_map(|fact| match fact {
                Fact::Published { accepted, .. } => Some(accepted.index + 1),
                _ => None,
            });
            indexes.max().unwrap_or(1)
        };
        let size = confirmed(&self.facts.lock().expect("nobody panicked over facts"));
        for (log, size) in [(Log::Journal, size), (Log::Directory, 1)] {
            let tree = logs.over(log, size).await;
            self.know(Fact::Shown { log, tree });
        }
    }

    async fn back_up(&self) {
        let entries = self.stage.auditor("iachr").await.entries(crate::stage::audit::all()).await;
        let entries = entries.expect("entries are listed").len() as u64;
        let to = text(&self.roots()[1]);
        let made = self.stage.program(&["hub", "backup", &to]).await;
        assert!(made.status.success(), "{made:?}");
        self.know(Fact::BackedUp { entries });
    }
}

/// Bytes at random.
pub(crate) fn random(chance: &mut Chance, bytes: usize) -> Vec<u8> {
    let words = std::iter::repeat_with(|| chance.bits().to_le_bytes()).take(bytes.div_ceil(8));
    let mut content: Vec<u8> = words.flatten().collect();
    content.truncate(bytes);
    content
}

fn one_of(deliveries: &[Delivery], chance: &mut Chance) -> resguardo::wire::proto::CoveredMessage {
    statement::named(&deliveries[chance.place(deliveries.len())])
}
