//! What lets anybody prove that an entry is in the log, and that the log has only grown.
//!
//! Owns the hashes of a log's tree ([`TreeHash`], [`Record`]), its right edge ([`Frontier`], [`Grower`]), a small one
//! whole ([`BatchTree`]), its tiles ([`Tile`],
//! [`Tiles`]), proofs over them ([`TiledTree`], [`InclusionProof`], [`ConsistencyProof`]), signed notes ([`Note`], [`NoteKey`]),
//! checkpoints and cosignatures ([`Checkpoint`], [`LogVerifier`], [`WitnessVerifier`]), when enough witnesses have cosigned
//! ([`Quorum`]), and a proof as a file ([`LogProof`]). Never reads a disk or a clock, never knows what an entry says or who an
//! office is, and never takes a proof for good because it made it: whoever needs one verifies it. Touches no disk, so a crash
//! leaves nothing behind; that tiles are synced before a checkpoint over them is signed is for whoever keeps both.
//!
//! A checkpoint counts where both of the log's signatures hold, Ed25519's and ML-DSA-44's, and a witness where both of its
//! cosignatures hold and say the same time. So it stands while either algorithm does.
//!
//! Sources: RFC 6962 and RFC 9162, section 2.1 (the tree and its proofs); C2SP `tlog-tiles`, `signed-note`, `tlog-checkpoint`,
//! `tlog-cosignature` and `tlog-proof`; after C2SP `tlog-policy`, the quorum.

mod batch;
mod bundle;
mod checkpoint;
mod cosignature;
mod grow;
mod hash;
mod key;
mod note;
mod path;
mod quorum;
mod reader;
mod text;
mod tiles;
mod tree;

#[cfg(test)]
mod tests;

pub use batch::BatchTree;
pub use bundle::{BundleError, EXTRA_BYTES_MAX, LogProof, LogProofError};
pub use checkpoint::{Checkpoint, CheckpointError, LogVerifier, Origin, SignedCheckpoint};
pub use cosignature::{UnixSeconds, WitnessVerifier};
pub use grow::Grower;
pub use hash::{HASH_BYTES, NONCE_BYTES, Nonce, Record, TreeHash, leaf_hash, node_hash};
pub use key::{KEY_NAME_BYTES_MAX, KeyName, KeyNameError, NoteKey, NoteKeyError, NoteKeyId, SignatureType};
pub use note::{
    LineError, NOTE_BYTES_MAX, Note, NoteError, SIGNATURES_MAX, SignatureLine, SignatureLineError,
};
pub use path::{ConsistencyProof, InclusionProof, PATH_HASHES_MAX, PathError, TreeHead};
pub use quorum::{Cosigned, Member, Quorum, QuorumError, Tally};
pub use reader::{TileError, TiledTree, Tiles};
pub use tiles::{
    EntryBundle, RecordsError, TILE_WIDTH, Tile, TilePathError, bundles_of_growth, tiles_of_growth,
};
pub use tree::{Frontier, SIZE_MAX};
