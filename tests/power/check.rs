//! What must hold of a hub that comes back after a power cut: held against all that was known before the cut.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use resguardo::wire::log::Log;
use resguardo::wire::proto::{Accepted, DeliveryRow, EntryKind, EntryRow, ReceiptRow, Stage as ReceiptStage};

use crate::life::{CALLING, Fact, HALF, HEADQUARTERS, Lived, STREAMING};
use crate::logs::Logs;
use crate::stage::PROGRAM;
use crate::stage::audit::{all, of};
use crate::stage::chance::Chance;
use crate::stage::client::Auditor;
use crate::stage::draft::{Draft, envelope_of};
use crate::stage::subscription::{envelope, message};
use crate::stage::transfer::file_of;
use crate::stage::wait::within;
use crate::tape::text;

/// Messages that are handed in again after a cut, at most: of those that were confirmed, and of those that were not.
const AGAIN_MAX: usize = 3;

/// A hub after a cut.
pub(crate) struct Check<'a> {
    pub(crate) lived: &'a Lived,
    /// What was known before the cut.
    pub(crate) known: &'a [Fact],
    /// Which cut it was, for whoever reads of a failure.
    pub(crate) when: &'a str,
}

impl Check<'_> {
    /// Looks at all of it, while the hub runs.
    pub(crate) async fn running_hub(&self, chance: &mut Chance) {
        let auditor = self.lived.stage.auditor("ohchr").await;
        let entries = auditor.entries(all()).await.expect("entries are listed");
        let deliveries = auditor.deliveries(all()).await.expect("deliveries are listed");
        let places = self.messages(&entries, &deliveries);
        let receipts = auditor.receipts(all()).await.expect("receipts are listed");
        self.receipts(&entries, &deliveries, &receipts);
        self.outstanding(&auditor, &deliveries).await;
        self.delivered(&deliveries).await;
        self.files().await;
        self.logs().await;
        self.handed_in_again(&places, entries.len() as u64, chance).await;
        let said = self.lived.stage.hub().log();
        for words in ["made anew from the journal", "LOGS", "logs cannot"] {
            assert!(!said.contains(words), "{}: the hub had to say {words:?}:\n{said}", self.when);
        }
    }

    /// Each entry in its place, each message once, whole, owed to those it is for and to nobody else.
    fn messages(&self, entries: &[EntryRow], deliveries: &[DeliveryRow]) -> HashMap<Bytes, u64> {
        let when = self.when;
        let indexes = entries.iter().map(|entry| entry.index);
        assert!(indexes.eq(0..entries.len() as u64), "{when}: indexes have gaps");
        let mut owed: HashMap<u64, Vec<&str>> = HashMap::new();
        for row in deliveries {
            let index = row.message.as_ref().expect("a row is of a message").index;
            owed.entry(index).or_default().push(&row.office);
        }
        let mut places = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.kind() == EntryKind::Publish) {
            let id = envelope_of(&entry.statement).message_id;
            let draft = self.draft(&id);
            assert_eq!(entry.statement, draft.envelope_bytes(), "{when}: {} has other bytes", entry.index);
            assert_eq!(
                places.insert(id, entry.index),
                None,
                "{when}: a message is there twice: {}",
                entry.index
            );
            let owed = owed.remove(&entry.index).unwrap_or_default();
            let named: Vec<_> = draft.envelope.recipients.iter().map(|it| it.office.as_str()).collect();
            assert_eq!(owed, named, "{when}: {} is not owed to those it is for", entry.index);
        }
        assert!(owed.is_empty(), "{when}: deliveries of messages that are no entries: {owed:?}");
        for (id, accepted) in self.published() {
            let found = places.get(id);
            assert_eq!(found, Some(&accepted.index), "{when}: a message was confirmed at {}", accepted.index);
            let entry = entry_at(entries, accepted.index);
            assert_eq!(entry.recorded_unix_us, accepted.accepted_unix_us, "{when}: its time changed");
        }
        places
    }

    fn receipts(&self, entries: &[EntryRow], deliveries: &[DeliveryRow], receipts: &[ReceiptRow]) {
        let when = self.when;
        let listed: HashMap<u64, &ReceiptRow> = receipts
            .iter()
            .map(|row| (row.stage.as_ref().expect("a row is of a stage").receipt_index, row))
            .collect();
        let reached: BTreeSet<_> = deliveries
            .iter()
            .flat_map(|row| {
                let index = row.message.as_ref().expect("a row is of a message").index;
                row.stages.iter().map(move |stage| (row.office.as_str(), index, stage.stage))
            })
            .collect();
        for fact in self.known {
            let Fact::Stated { office, receipt, bytes, recorded } = fact else { continue };
            let index = recorded.index;
            let entry = entry_at(entries, index);
            assert_eq!(
                (entry.kind(), &entry.statement),
                (EntryKind::Receipt, bytes),
                "{when}: receipt {index}"
            );
            assert_eq!(entry.recorded_unix_us, recorded.recorded_unix_us, "{when}: receipt {index}");
            let news = listed.get(&index).map(|row| row.news);
            assert_eq!(news, Some(recorded.news), "{when}: receipt {index}");
            for message in &receipt.messages {
                let row = (office.as_str(), message.index, receipt.stage);
                assert!(reached.contains(&row), "{when}: {row:?} was confirmed and does not count");
            }
        }
        // Whoever stated something here states it of what was for it.
        for row in deliveries.iter().filter(|row| !row.stages.is_empty()) {
            assert!([HEADQUARTERS, HALF].contains(&row.office.as_str()), "{when}: {row:?}");
        }
    }

    /// Outstanding is what is owed and was not received.
    async fn outstanding(&self, auditor: &Auditor, deliveries: &[DeliveryRow]) {
        let listed = auditor.outstanding(all(), ReceiptStage::Received).await.expect("a listing");
        let (listed, owed) = (places_of(&listed), not_received(deliveries));
        assert_eq!(listed, owed, "{}: outstanding is owed less received", self.when);
    }

    /// What is outstanding comes to whom it is for, whole, and nothing else does.
    async fn delivered(&self, deliveries: &[DeliveryRow]) {
        for office in [HEADQUARTERS, HALF] {
            let mut owed: BTreeSet<_> =
                not_received(deliveries).into_iter().filter(|row| row.0 == office).map(|row| row.1).collect();
            let desk = self.lived.stage.desk(office).await;
            let mut subscription = desk.subscribe().await;
            for delivery in subscription.next(owed.len()).await {
                let (came, draft) = (message(&delivery), self.draft(&envelope(&delivery).message_id));
                assert!(
                    owed.remove(&delivery.index),
                    "{}: {office} was not owed {}",
                    self.when,
                    delivery.index
                );
                let whole = came.envelope == draft.envelope_bytes() && came.payload == draft.payload;
                assert!(whole, "{}: {office} got another message than was handed in", self.when);
                assert!(draft.envelope.recipients.iter().any(|it| it.office == office), "{}", self.when);
            }
            subscription.nothing_comes().await;
        }
    }

    async fn files(&self) {
        let reader = self.lived.stage.desk(HEADQUARTERS).await;
        let mut contents = HashMap::new();
        for fact in self.known {
            let Fact::Whole { office, content } = fact else { continue };
            let desk = self.lived.stage.desk(office).await;
            let file = file_of(content);
            let have = desk.begin_upload(file.clone()).await.expect("the hub knows of the file");
            assert!(have.whole, "{}: a file of {} bytes was whole: {have:?}", self.when, file.bytes);
            contents.insert(file.sha256, content);
        }
        for (id, accepted) in self.published() {
            let packet = self.draft(id);
            for file in &packet.envelope.files {
                let got = reader.download(packet, accepted, file, 0).await.expect("the file comes down");
                assert_eq!(
                    Some(&&Bytes::from(got)),
                    contents.get(&file.sha256),
                    "{}: another file",
                    self.when
                );
            }
        }
    }

    async fn logs(&self) {
        let desk = self.lived.stage.desk(HALF).await;
        let mut logs = Logs::by(&desk).await;
        for log in Log::ALL {
            let shown = self.known.iter().rev().find_map(|fact| match fact {
                Fact::Shown { log: it, tree } if *it == log => Some(tree),
                _ => None,
            });
            let Some(shown) = shown else { continue };
            let after = logs.after(log, shown).await;
            after.unwrap_or_else(|error| panic!("{}: the {}: {error}", self.when, log.name()));
        }
    }

    /// What was confirmed is a duplicate at its index; what was not is there or is taken; what is new is new.
    async fn handed_in_again(&self, places: &HashMap<Bytes, u64>, entries: u64, chance: &mut Chance) {
        let stage = &self.lived.stage;
        let desks = [stage.desk(STREAMING).await, stage.desk(CALLING).await];
        let mut drafts: Vec<_> =
            self.lived.drafts.values().filter(|it| it.envelope.files.is_empty()).collect();
        drafts.sort_by_key(|draft| draft.id());
        let (there, missing): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|it| places.contains_key(&it.id()));
        for drafts in [there, missing] {
            for _ in 0..AGAIN_MAX.min(drafts.len()) {
                let draft = drafts[chance.place(drafts.len())];
                let desk =
                    desks.iter().find(|desk| desk.identity == draft.envelope.sender).expect("its desk");
                let again = desk.publish(draft).await;
                let again = again.unwrap_or_else(|status| panic!("{}: refused: {status:?}", self.when));
                match places.get(&draft.id()) {
                    Some(index) => {
                        assert_eq!((again.duplicate, again.index), (true, *index), "{}", self.when);
                    }
                    None => {
                        assert!(again.index >= entries, "{}: a place is given twice: {again:?}", self.when);
                    }
                }
            }
        }
        let new = desks[0].draft(&[HALF]);
        let accepted = desks[0].send(&new).await;
        let outstanding = stage.auditor("iachr").await.outstanding(of(HALF), ReceiptStage::Received).await;
        let outstanding = places_of(&outstanding.expect("a listing"));
        assert!(outstanding.contains(&(HALF.to_owned(), accepted.index)), "{}: it is owed", self.when);
    }

    /// The backup that was told to be made is whole; where none was, there may be one. Another can be made over it, also where
    /// it was cut short, and a hub restored from that.
    pub(crate) async fn backup(&self) {
        let (stage, dir) = (&self.lived.stage, text(&self.lived.roots[1]));
        let told = self.known.iter().rev().find_map(|fact| match fact {
            Fact::BackedUp { entries } => Some(*entries),
            _ => None,
        });
        let checked = stage.program(&["--json", "hub", "backup", &dir, "--check"]).await;
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        let objects = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let entries = objects.filter_map(|it| it["entries"].as_u64()).max();
        match (told, checked.status.code()) {
            (None, Some(2)) => assert!(said.contains("backup.toml"), "{}: {said}", self.when),
            (told, Some(0)) => assert!(entries >= told, "{}: {told:?} were backed up: {said}", self.when),
            _ => panic!("{}: a backup was made, of {told:?}: {checked:?}", self.when),
        }
        let home = stage.folder().join("restored");
        let to = text(&home);
        let made = stage.program(&["hub", "backup", &dir]).await;
        assert!(made.status.success(), "{}: {made:?}", self.when);
        let mut restore = tokio::process::Command::new(PROGRAM);
        restore.args(["hub", "restore", &dir, "--home", &to]).env_remove("RESGUARDO_HOME");
        let restored = within("a hub is restored", restore.output()).await.expect("the program runs");
        assert!(restored.status.success(), "{}: {restored:?}", self.when);
        std::fs::remove_dir_all(home).expect("the restored home is there");
    }

    fn published(&self) -> impl Iterator<Item = (&Bytes, &Accepted)> {
        self.known.iter().filter_map(|fact| match fact {
            Fact::Published { id, accepted } => Some((id, accepted)),
            _ => None,
        })
    }

    fn draft(&self, id: &Bytes) -> &Draft {
        let draft = self.lived.drafts.get(id);
        draft.unwrap_or_else(|| panic!("{}: {id:02x?} was never handed in", self.when))
    }
}

fn entry_at(entries: &[EntryRow], index: u64) -> &EntryRow {
    let entry = entries.get(usize::try_from(index).expect("an index fits"));
    entry.unwrap_or_else(|| panic!("entry {index} was confirmed, and there are {}", entries.len()))
}

fn places_of(rows: &[DeliveryRow]) -> Vec<(String, u64)> {
    let place = |row: &DeliveryRow| {
        let index = row.message.as_ref().expect("a row is of a message").index;
        (row.office.clone(), index)
    };
    let mut places: Vec<_> = rows.iter().map(place).collect();
    places.sort();
    places
}

/// What is owed and was not received.
fn not_received(deliveries: &[DeliveryRow]) -> Vec<(String, u64)> {
    let open = deliveries
        .iter()
        .filter(|row| row.stages.iter().all(|stage| stage.stage != i32::from(ReceiptStage::Received)));
    places_of(&open.cloned().collect::<Vec<_>>())
}
