//! The hub's disk fails under load and in starts: full, read-only, errors of reads, writes, syncs and names, once or until it is
//! mended. The hub goes on or ends with the reason; what it confirmed is there when it runs again.

use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::time::{sleep, timeout};

use crate::load::Load;
use crate::stage::Setup;
use crate::stage::audit::all;
use crate::stage::chance::Chance;
use crate::stage::client::{Auditor, Desk};
use crate::stage::failing_disk::{FailingDisk, Fault, NAMES, READS, SYNCS, WRITES};
use crate::stage::process::Ended;
use crate::stage::transfer::file_of;
use crate::stage::wait::within;
use crate::{PUBLISHERS, rounds};

/// Confirmations before a fault, at most.
const CONFIRMATIONS_MAX: u64 = 40;
/// Confirmations behind it that say that the hub goes on.
const CONFIRMATIONS_MORE: u64 = 30;
/// How long a fault is waited for: what is to fail may not be asked for.
const WAIT: Duration = Duration::from_millis(400);
/// Milliseconds from a fault until the disk is mended, at most.
const BROKEN_MS_MAX: u64 = 400;
/// Bytes of a file that goes up meanwhile, at most.
const FILE_BYTES_MAX: usize = 400_000;
/// What a hub that ended has to say of an error.
const WORDS: [(Errno, &str); 3] = [
    (Errno::NOSPC, "No space left on device"),
    (Errno::ROFS, "Read-only file system"),
    (Errno::IO, "Input/output error"),
];

/// What came of the faults.
#[derive(Debug, Default)]
struct Told {
    faults: usize,
    /// Of which nothing was met.
    missed: usize,
    went_on: usize,
    ended: usize,
    starts: usize,
    starts_ended: usize,
    files_whole: usize,
    files_refused: usize,
}

/// A hub under load on such a disk.
struct Trial {
    load: Load,
    disk: FailingDisk,
    told: Told,
    /// Files that the hub called whole.
    whole: Vec<Bytes>,
}

fn fault(chance: &mut Chance, after_max: u64) -> Fault {
    let (kinds, error) = [
        (WRITES | NAMES, Errno::NOSPC),
        (WRITES | NAMES, Errno::ROFS),
        (WRITES, Errno::IO),
        (SYNCS, Errno::IO),
        (READS, Errno::IO),
        (NAMES, Errno::IO),
    ][chance.place(6)];
    let part = ["", "/journal/", "/ledger", "/logs/", "/files/"][chance.place(5)];
    // A disk that is full or read-only is that for a while.
    let lasting = error != Errno::IO || chance.below(2) == 0;
    // Journal and ledger are written all the time, all else now and then.
    let often = kinds & (WRITES | SYNCS) != 0 && !["/logs/", "/files/"].contains(&part);
    let after = if often { chance.below(after_max) } else { chance.below(3) };
    Fault { kinds, part, after: u32::try_from(after).expect("a small number"), error, lasting }
}

/// A hub that ended has said why, in words, and with a code that lets it be started again: it took no fault for damage.
fn says_why(ended: &Ended, fault: Fault, when: &str) {
    let words = WORDS.iter().find_map(|(error, words)| (*error == fault.error).then_some(*words));
    let words = words.expect("each error has its words");
    assert_eq!(ended.status.code(), Some(1), "{when}: {ended}");
    assert!(ended.said(words) && !ended.said("panicked"), "{when}: {ended}");
}

impl Trial {
    async fn begin(seed: u64) -> Self {
        // Slow enough that looking at everything takes no longer than making it.
        let mut load = Load::begin(seed, Setup::limits("publishes_per_s = 60\npublishes_burst = 30")).await;
        assert!(load.stage.stop().await.success());
        let disk = FailingDisk::below(&load.stage.home(), &load.stage.folder().join("orders"));
        load.stage.environment = disk.environment();
        load.stage.start().await;
        Self { load, disk, told: Told::default(), whole: Vec::new() }
    }

    /// The disk fails under a hub that works, which goes on or ends; gives what happened.
    async fn fails_in_work(&mut self, round: u64) -> String {
        self.load.begin_run().await;
        let some = self.load.chance.below(CONFIRMATIONS_MAX);
        self.load.confirm(some).await;
        let fault = fault(&mut self.load.chance, 60);
        let (desk, auditor) =
            (self.load.stage.desk(PUBLISHERS[0]).await, self.load.stage.auditor("iachr").await);
        self.disk.fail(fault);
        self.use_files_and_read(&desk, &auditor).await;
        let met = async {
            while self.disk.failed().is_none() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let met = timeout(WAIT, met).await.is_ok();
        sleep(Duration::from_millis(self.load.chance.below(BROKEN_MS_MAX))).await;
        self.disk.mend();
        let when = format!("fault {round}, {fault:?}, met at {:?}", self.disk.failed());
        let mut hub = self.load.stage.hub.take().expect("it runs");
        let ended = async {
            while !hub.has_ended() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let goes_on = tokio::select! {
            () = ended => false,
            () = self.load.confirm(CONFIRMATIONS_MORE) => true,
        };
        if goes_on {
            hub.kill().await;
        } else {
            says_why(&hub.end().await, fault, &when);
        }
        self.told.faults += 1;
        self.told.missed += usize::from(!met);
        self.told.went_on += usize::from(met && goes_on);
        self.told.ended += usize::from(!goes_on);
        self.load.all_wait().await;
        when
    }

    /// A file goes up, and the journal is read: each is done or refused.
    async fn use_files_and_read(&mut self, desk: &Desk, auditor: &Auditor) {
        let bytes = 1 + self.load.chance.place(FILE_BYTES_MAX);
        let content: Bytes = self.load.chance.bits().to_be_bytes().into_iter().cycle().take(bytes).collect();
        let both = async { tokio::join!(desk.hand_up(&content), auditor.entries(all())) };
        let (went_up, _) = within("a file and a listing are answered", both).await;
        let went_up = went_up.is_ok();
        self.told.files_whole += usize::from(went_up);
        self.told.files_refused += usize::from(!went_up);
        self.whole.extend(went_up.then_some(content));
    }

    /// The disk fails in a start, which goes through or ends.
    async fn fails_in_start(&mut self, when: &str) -> String {
        let fault = fault(&mut self.load.chance, 12);
        self.disk.fail(fault);
        let started = within("the start ends", self.load.stage.try_start()).await;
        self.disk.mend();
        let met = self.disk.failed();
        let when = format!("{when}, a start with {fault:?}, met at {met:?}");
        self.told.starts += usize::from(met.is_some());
        match started {
            Ok(()) => self.load.stage.kill().await,
            Err(ended) => {
                self.told.starts_ended += 1;
                says_why(&ended, fault, &when);
            }
        }
        when
    }

    async fn look(&mut self, when: &str) {
        self.load.look(&format!("after {when}")).await;
        let desk = self.load.stage.desk(PUBLISHERS[0]).await;
        for content in &self.whole {
            let have = desk.begin_upload(file_of(content)).await.expect("the hub knows of the file");
            assert!(have.whole, "after {when}: a file of {} bytes was whole", content.len());
        }
    }
}

#[tokio::test]
async fn what_was_confirmed_stays_in_its_place_over_24_faults_of_the_disk() {
    for (faults, seed) in rounds("RESGUARDO_FAULTS", 24) {
        let mut trial = Trial::begin(seed).await;
        for round in 1..=faults {
            let mut when = trial.fails_in_work(round).await;
            if trial.load.chance.below(2) == 0 {
                when = trial.fails_in_start(&when).await;
            }
            println!("{when}");
            trial.load.stage.start().await;
            trial.look(&when).await;
        }
        println!("{:?}", trial.told);
        println!("{}", trial.load.end().await);
    }
}
