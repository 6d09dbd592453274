//! Every crash: a recorded run, cut after each of its operations, in each style.
//!
//! Owns the cutting, for tests. Never decides what must hold: the caller looks at each disk.

use super::{CrashStyle, MemoryDisk, Operation};

/// Gives each disk that a crash may leave, with the number of operations that had been carried out, and tells `look`.
pub(crate) fn at_every_moment(
    operations: &[Operation],
    from: usize,
    mut look: impl FnMut(usize, MemoryDisk),
) {
    let torn = (0..6).map(|seed| CrashStyle::Torn { seed });
    let scattered = (0..3).map(|seed| CrashStyle::Scattered { seed });
    let whole = [CrashStyle::ProcessEnd, CrashStyle::DropUnsynced].into_iter();
    let styles: Vec<_> = whole.chain(torn).chain(scattered).collect();
    let disk = MemoryDisk::new();
    for (done, operation) in operations.iter().enumerate() {
        disk.replay(operation).unwrap();
        if done + 1 >= from {
            for style in &styles {
                look(done + 1, disk.crash(*style));
            }
        }
    }
}
