//! The exchange from end to end: the real program, real sockets, real certificates, a claim a test.

#[path = "../stage/mod.rs"]
mod stage;

mod amend;
mod amend_long;
mod audit_rights;
mod audit_watch;
mod bad_frames;
mod bad_messages;
mod bad_receipts;
mod bad_transport;
mod bounds;
mod bounds_of_sessions;
mod deliver;
mod deliver_urgent;
mod dev_set;
mod door;
mod erase;
mod fault;
mod files;
mod files_bounds;
mod files_orphans;
mod forged;
mod founding;
mod identities;
mod journal_damage;
mod ledger_loss;
mod logs;
mod notices;
mod proofs;
mod publish;
mod publish_again;
mod receipts;
mod refusals;
mod renew;
mod replay;
mod reseal;
mod retention;
mod slow;
mod stop;
mod streams;

/// Office names that nearly every test uses.
const HONDURAS: &str = "ohchr-honduras";
const MEXICO: &str = "ohchr-mexico";
const COLOMBIA: &str = "ohchr-colombia";
const GUATEMALA: &str = "ohchr-guatemala";
const IACHR: &str = "iachr";
