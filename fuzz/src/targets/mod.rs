//! What is done to any bytes, a module for each target: it panics where something is wrong.

pub mod answers;
pub mod cap;
pub mod colluding;
pub mod content;
pub mod directory;
pub mod entry;
pub mod envelope;
pub mod evidence;
pub mod exported;
pub mod journal;
pub mod papers;
pub mod proof;
pub mod receipt;
pub mod stanza;
pub mod text;
