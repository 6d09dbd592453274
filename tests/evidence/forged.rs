//! What a forgery is, and all of them.

use resguardo::wire::proto;

use crate::world::{Chance, World};
use crate::{colluding, in_file};

/// A forgery; `false` where there is nothing of the kind to forge.
pub(crate) enum Forgery {
    /// By a hub and all its witnesses.
    Colluding(fn(&mut World) -> bool),
    /// By who has the file: in what stands in it.
    InFile(fn(&mut proto::Evidence, &Chance) -> bool),
    /// The same, in its bytes.
    InBytes(fn(&mut Vec<u8>, &Chance) -> bool),
}

/// All of them, each with its name.
pub(crate) fn all() -> Vec<&'static (&'static str, Forgery)> {
    in_file::FORGERIES.iter().chain(colluding::FORGERIES).collect()
}
