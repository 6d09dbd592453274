//! What the ledger decides, keeps and shows, held to the sentences of its contract.

mod agree;
mod bench;
mod load;
mod model;
mod rules;
