//! Notes, keys, checkpoints, paths of tiles and whole proofs: what is read is written the same, byte for byte.
//!
//! Nothing but the seeds' own log may lead to a checkpoint that counts.

use resguardo::proof::{
    Checkpoint, EntryBundle, LogProof, LogVerifier, Note, NoteKey, Record, SignatureLine, Tile,
};
use resguardo::seal::SigningKey;

/// Runs it.
pub fn run(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.text(), note.text());
        }
    }
    if let Ok(proof) = LogProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        let Ok(origin) = "resguardo.example/journal".parse() else { return };
        // The key and the leaf of the seeds.
        let log = LogVerifier::new(origin, &SigningKey::from_seeds(&[1; 64]).verifying_key());
        if let Ok(signed) = proof.verify(&Record([2; 32]).leaf(), &log) {
            assert_eq!(signed.checkpoint().tree().size, 3);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(line) = text.parse::<SignatureLine>() {
        assert_eq!(line.to_string(), text);
    }
    if let Ok(key) = text.parse::<NoteKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(tile) = text.parse::<Tile>() {
        assert_eq!(tile.to_string(), text);
    }
    if let Ok(bundle) = text.parse::<EntryBundle>() {
        assert_eq!(bundle.to_string(), text);
        let _ = bundle.decode(bytes);
    }
}
