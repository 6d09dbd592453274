//! Founding and opening: journal first, then the ledger brought up to it.
//!
//! Owns the decision whether a ledger is trusted. The journal is the truth: a ledger that is missing, damaged, of another
//! journal or of another format is moved aside and built anew; one that is behind is fed what it lacks; one that knows
//! of more than the journal holds shows that the journal has lost something, and nothing is started.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Config;
use super::decode;
use super::home::{Home, HomeError};
use super::run::Host;
use super::sequence::HUB_NUMBER;
use crate::host::disk::Lock;
use crate::journal::{self, JournalError, Reader, Recovery};
use crate::ledger::sled::{SledError, SledStore};
use crate::ledger::store::StoreError;
use crate::ledger::view::View;
use crate::ledger::{self, Ledger, LedgerError};
use crate::model::entry::{Batch, BatchName, EntryKind, Mark, Proposal};
use crate::model::id::Position;
use crate::model::identity::Identity;
use crate::model::policy::Fact;
use crate::wire::convert;
