//! What the ledger decides, keeps and shows, held to the sentences of its contract.

mod bench;
mod rules;
