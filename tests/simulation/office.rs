//! An office's machine: the desk's own subscription, and a person who writes alerts and states that others' were read.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use resguardo::cap;
use resguardo::desk::compose::{Draft, compose, new_id};
use resguardo::desk::dial::Dial as _;
use resguardo::desk::home::Home;
use resguardo::desk::inbox::Inbox;
use resguardo::desk::keys;
use resguardo::desk::members::Members;
use resguardo::desk::notes;
use resguardo::desk::outbox::{Outbox, Outcome, Stand, StatementEntry};
use resguardo::desk::sealer::Unlocked;
use resguardo::desk::session::{Event, Host, Observer, Plan, Subscription};
use resguardo::desk::signer::Signer;
use resguardo::desk::witness::{self, WitnessError};
use resguardo::host::clock::Clock as _;
use resguardo::host::random::SeededRandom;
use resguardo::model::deadline::Deadlines;
use resguardo::model::receipt::{Receipt, Stage};
use resguardo::wire::note::OfficerNote;
use tokio_util::sync::CancellationToken;

use crate::machine::{Machine, SimTasks};
use crate::network::Way;
use crate::world::World;

/// An alert with a name of its own.
const ALERT: &str = include_str!("../../examples/alerts/death-threat.xml");
const ALERT_NAME: &str = "ohchr-honduras-2026-exercise-0001";
/// Between two acts of a person, in milliseconds, at least and at most.
const ACTS_MS: (u64, u64) = (2_000, 40_000);

/// What goes wrong on an office's machine: a disk that fails, for the rest is a fault.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Remembers what a desk tells.
struct Ears {
    world: Arc<World>,
    office: &'static str,
}

impl Observer for Ears {
    fn tell(&self, event: Event<'_>) -> io::Result<()> {
        let (world, office) = (&self.world, self.office);
        world.trace(office, || format!("{event:?}").chars().take(200).collect());
        let mut told = world.told();
        match event {
            Event::Message(kept, clear) => {
                if clear.is_none() {
                    told.wrong.push(format!("{office} cannot open {}", kept.entry.message_id));
                }
                let came = told.came.entry(office).or_default();
                if came.insert(kept.entry.message_id, kept.entry.index).is_some() {
                    told.wrong.push(format!("{office} is told twice of {}", kept.entry.message_id));
                }
            }
            Event::MessageHandedIn { message_id, outcome: Outcome::Accepted { index, .. } } => {
                told.confirmed.insert(message_id, *index);
            }
            Event::StatementHandedIn { entry, outcome: Outcome::Accepted { index, .. } } => {
                told.stated.insert((office, entry.message_id, entry.stage), *index);
            }
            // The hub is honest, and no disk lies: nothing of this may be said, whatever breaks.
            Event::NotWitnessed(WitnessError::Found { .. })
            | Event::Disputed(_)
            | Event::Unreadable { .. }
            | Event::OrderNotHeld { .. }
            | Event::ReceiptRefused(_)
            | Event::Directory(_)
            | Event::Missing(_)
            | Event::MessageHandedIn { .. }
            | Event::StatementHandedIn { .. } => told.wrong.push(format!("{office}: {event:?}")),
            _ => {}
        }
        Ok(())
    }
}

/// An office's process, until its machine crashes.
pub(crate) async fn office(world: Arc<World>, name: &'static str) -> Result<(), Failure> {
    let machine = world.machine(name);
    let (disk, random) = (machine.disk(), machine.random());
    let dir = world.set_home(name);
    let home = Home::open(Arc::new(disk.clone()), &dir)?;
    let own = home.desk()?.clone();
    let signer = Signer::new(own.clone(), keys::unattended(&disk, &dir)?, random.clone());
    let unlocked = Unlocked::of(own, keys::unlock(&disk, &dir, None)?);
    let way = Way { home: home.clone(), clock: machine.clock.clone() };
    let host = Host {
        clock: machine.clock.clone(),
        random: random.clone(),
        tasks: Arc::new(SimTasks),
        files: None,
        signer,
        unlocked: Some(unlocked.clone()),
    };
    let ears = Ears { world: Arc::clone(&world), office: name };
    let stop = CancellationToken::new();
    let subscription = Subscription::open(&home, &way, host, Plan::default(), &ears, stop)?;
    let person =
        Person { world: Arc::clone(&world), machine, way: &way, home: home.clone(), unlocked, random };
    tokio::select! {
        ended = subscription.run() => {
            ended?;
            Err("a subscription ended that nobody stopped".into())
        }
        failed = person.acts() => failed,
    }
}

/// Whoever sits at the desk.
struct Person<'a> {
    world: Arc<World>,
    machine: &'a Machine,
    way: &'a Way,
    home: Home,
    unlocked: Unlocked,
    random: Arc<SeededRandom>,
}

impl Person<'_> {
    async fn acts(&self) -> Result<(), Failure> {
        let (least, most) = ACTS_MS;
        loop {
            tokio::time::sleep(Duration::from_millis(least + self.random.below(most - least))).await;
            if !self.world.is_busy() {
                continue;
            }
            let Some(members) = self.directory().await? else { continue };
            if self.random.below(2) == 0 {
                self.publishes(&members).await?;
            } else {
                self.reads(&members).await?;
            }
        }
    }

    /// Who there is: asked for the first time, and sometimes again, as commands do.
    async fn directory(&self) -> Result<Option<Members>, Failure> {
        let copied = Members::copied(&self.home)?;
        if copied.is_some() && self.random.below(4) > 0 {
            return Ok(copied);
        }
        let Ok(channel) = self.way.dial().await else { return Ok(copied) };
        let fetched = Members::fetch(channel, &self.home, self.machine.clock.now()).await;
        Ok(fetched.map_or(copied, Some))
    }

    async fn publishes(&self, members: &Members) -> Result<(), Failure> {
        let desk = self.home.desk()?;
        let name = format!("{}-{}", self.machine.name, self.random.below(u64::MAX));
        let mut text = ALERT.replace(ALERT_NAME, &name);
        if self.random.below(2) == 0 {
            text = text.replace("<urgency>Immediate", "<urgency>Future");
        }
        let alert = cap::import(text.as_bytes())?.alert;
        let stream = "monitoring-protection".parse()?;
        let mut recipients = members.recipients(&stream, &desk.office)?;
        // Some are for one office alone.
        if self.random.below(3) == 0 {
            let one = usize::try_from(self.random.below(recipients.len() as u64))?;
            recipients = vec![recipients.swap_remove(one)];
        }
        let outbox = Outbox::open(&self.home)?;
        let draft = Draft {
            alert: &alert,
            persons: &[],
            stream,
            recipients,
            thread_id: None,
            deadlines: Deadlines::default(),
            to_members: false,
            own: members.policy().office_key(&desk.office).ok_or("the office has a key")?,
        };
        let clock = self.machine.clock.as_ref();
        let outgoing = compose(desk, draft, &outbox, clock, self.random.as_ref())?.outgoing;
        let held = self.home.lock().await?;
        outbox.add_message(&held, &outgoing, clock.now())?;
        let id = outgoing.envelope.message_id;
        self.world.trace(self.machine.name, || format!("writes {id}"));
        let recipients = outgoing.envelope.recipients.iter().map(|it| it.office.clone()).collect();
        self.world.told().kept.insert(id, (self.machine.name, recipients));
        Ok(())
    }

    async fn reads(&self, members: &Members) -> Result<(), Failure> {
        let (inbox, outbox) = (Inbox::open(&self.home)?, Outbox::open(&self.home)?);
        let stated: BTreeSet<_> = outbox.statements()?.into_iter().map(|it| it.message_id).collect();
        let entries = inbox.entries()?;
        let Some(entry) = entries.iter().find(|it| !stated.contains(&it.message_id)) else { return Ok(()) };
        let clock = self.machine.clock.as_ref();
        let covered = inbox.read(entry)?.covered();
        let mut receipt = Receipt {
            desk: self.home.desk()?.clone(),
            stage: Stage::Read,
            messages: vec![covered],
            notices: Vec::new(),
            at: clock.now(),
            action: None,
            reason: String::new(),
            note_digest: None,
            opened: false,
            seen: witness::seen(&self.home),
        };
        let officer = self.world.officer(self.machine.name);
        let note = OfficerNote {
            officer: officer.name,
            key: officer.key.verifying_key(),
            message_id: covered.message_id,
            digest: covered.digest,
            stage: receipt.stage,
            action: None,
            at: receipt.at,
            text: String::new(),
        };
        let note = notes::seal(
            &self.unlocked,
            members.policy(),
            (&officer.key, &note),
            &entry.sender,
            &mut receipt,
        )?;
        let statement = StatementEntry {
            id: new_id(clock, self.random.as_ref()),
            message_id: entry.message_id,
            sender: entry.sender.clone(),
            stage: Stage::Read,
            stand: Stand::Pending,
        };
        let signed = self.unlocked.signer(self.random.clone()).sign(receipt);
        let held = self.home.lock().await?;
        outbox.add_statement(&held, &statement, (signed, note), clock.now())?;
        self.world.trace(self.machine.name, || format!("has read {}", entry.message_id));
        Ok(())
    }
}
