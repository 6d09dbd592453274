//! What the ledger decides, keeps and shows, held to the sentences of its contract.

mod agree;
mod bench;
mod deadlines;
mod erasures;
mod faults;
mod format;
mod load;
mod model;
mod obligations;
mod recover;
mod reseal;
mod rules;
