//! The command line: what is asked, by whom, and how it is answered.
//!
//! Owns flags, printing and exit codes; one file a command. Contains no rules: what may be and what follows is decided
//! below.

mod ack;
mod asked;
mod audit;
mod backup;
mod ca;
mod ca_renew;
mod certs;
mod completions;
mod confirm;
mod context;
mod demo;
mod erase;
mod exit;
mod export;
mod facts;
mod hub;
mod hub_config;
mod inbox;
mod log;
mod objects;
mod office;
mod office_keys;
mod officer;
mod open;
mod packet;
mod passphrase;
mod pending;
mod persons;
mod policy;
mod publish;
mod registrar;
mod registrar_erase;
mod renewals;
mod reseal;
mod resealing;
mod screen;
mod send;
mod show;
mod since;
mod start;
mod status;
mod subscribe;
mod unlock;
mod verify;
mod wait;
mod witness;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use self::context::{Context, Stop};
pub use self::exit::{Exit, Failure};
pub use self::screen::Screen;
pub use self::start::main;

/// Exchange of urgent alerts on human rights defenders at risk.
///
/// Every message is on the hub's disk before it is confirmed, and every acknowledgement can be audited.
#[derive(Debug, Parser)]
#[command(name = "resguardo", version, after_help = exit::EXIT_CODES, max_term_width = 120)]
pub struct Cli {
    /// The home of the desk, auditor or hub: its identity, keys, inbox and outbox.
    #[arg(long, global = true, env = "RESGUARDO_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print for programs: one object a line (see docs/json.md).
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publishes, and hands in what waits.
    #[command(subcommand)]
    Publish(publish::Publish),
    /// Receives what the office is owed, keeps it and acknowledges it as received.
    Subscribe(subscribe::Subscribe),
    /// States what a person did with a message: read it, acted on it, declined it.
    Ack(ack::Ack),
    /// Says who the officers of this desk are: whoever reads, acts or declines does so by name.
    #[command(subcommand)]
    Officer(officer::OfficerCommand),
    /// Has a message of this office erased, at the hub and at everybody who received it.
    Erase(erase::Erase),
    /// Asks for what opens a message that was sealed to a lost key, or gives it to who asked.
    Reseal(reseal::Reseal),
    /// Lists what came, newest last; what nobody here has acknowledged yet is marked.
    Inbox(inbox::InboxList),
    /// Shows a message.
    Show(show::Show),
    /// Lists and fetches analysis packets.
    #[command(subcommand)]
    Packet(packet::PacketCommand),
    /// Bears witness that the hub's logs only grow, and does nothing else: for a body outside the offices.
    Witness(witness::Witness),
    /// Asks the hub what happened.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Checks a file of evidence or an export, without a line and without a home, and says what it proves and what not.
    Verify(verify::Verify),
    /// Writes a message's alert as CAP 1.2 XML.
    Export(export::Export),
    /// Opens an age file that was sealed to this office, by whatever program.
    Open(open::Open),
    /// Shows the main job on this machine: a hub, seven offices, an alert, a kill, an audit.
    Demo(demo::Demo),
    /// Founds, runs and checks a hub.
    #[command(subcommand)]
    Hub(hub::HubCommand),
    /// Enrols a home, and says who is in the directory.
    #[command(subcommand)]
    Office(office::Office),
    /// Says what is asked of offices, and by when.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Says who is in the directory, away from the hub, by two signatures.
    #[command(subcommand)]
    Registrar(registrar::RegistrarCommand),
    /// Signs certificates away from the hub, and takes them back.
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Makes certificates and homes for trying.
    #[command(subcommand)]
    Certs(certs::CertsCommand),
    /// Writes completions for a shell.
    Completions(completions::Completions),
}

impl Command {
    /// Tells whether its end is to be read: without a reader there is no use in going on.
    fn only_tells(&self) -> bool {
        match self {
            Self::Subscribe(_)
            | Self::Inbox(_)
            | Self::Show(_)
            | Self::Audit(_)
            | Self::Verify(_)
            | Self::Export(_)
            | Self::Open(_)
            | Self::Completions(_) => true,
            Self::Publish(_)
            | Self::Packet(_)
            | Self::Ack(_)
            | Self::Officer(_)
            | Self::Erase(_)
            | Self::Reseal(_)
            | Self::Demo(_)
            | Self::Hub(_)
            | Self::Witness(_)
            | Self::Office(_)
            | Self::Policy(_)
            | Self::Registrar(_)
            | Self::Ca(_)
            | Self::Certs(_) => false,
        }
    }
}

const LEFT_IN_OUTBOX: &str =
    "What was kept in the outbox by then stays there: `resguardo publish pending` hands it in.";

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What went wrong, with its exit code.
    pub async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.command {
            // It ends by itself what it has begun.
            Command::Subscribe(command) => command.run(context).await,
            Command::Publish(command) => command.run(context).await,
            Command::Demo(command) => command.run(context),
            Command::Witness(command) => command.run(context).await,
            Command::Hub(command) => command.run(context).await,
            Command::Office(command) => command.run(context).await,
            Command::Policy(command) => command.run(context).await,
            Command::Registrar(command) => command.run(context),
            Command::Ca(command) => command.run(context),
            Command::Certs(command) => command.run(context),
            Command::Packet(command) => command.run(context).await,
            Command::Officer(command) => command.run(context),
            Command::Ack(command) => context.unless_stopped(LEFT_IN_OUTBOX, command.run(context)).await,
            Command::Erase(command) => context.unless_stopped(LEFT_IN_OUTBOX, command.run(context)).await,
            Command::Reseal(command) => command.run(context).await,
            Command::Audit(command) if command.watches() => command.run(context).await,
            Command::Audit(command) => context.unless_stopped(command.left(), command.run(context)).await,
            Command::Inbox(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Verify(command) => command.run(context),
            Command::Export(command) => command.run(context),
            Command::Open(command) => command.run(context),
            Command::Completions(command) => command.run(context),
        }
    }
}
