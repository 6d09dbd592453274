//! Signing what the desks of a test say.
//!
//! Owns that the same statement is always the same bytes: an ML-DSA signature is another one each time.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use bytes::Bytes;
use resguardo::seal::{Kind, SigningKey};
use resguardo::wire::proto::Signature;

type Signatures = HashMap<([u8; 32], Kind, Bytes), Signature>;

static SIGNED: LazyLock<Mutex<Signatures>> = LazyLock::new(Mutex::default);

/// Signs a statement, once.
pub(crate) fn signature(key: &SigningKey, kind: Kind, statement: &Bytes) -> Signature {
    let id = key.verifying_key().id();
    let place = (id.0, kind, statement.clone());
    if let Some(signature) = SIGNED.lock().expect("nobody panicked here").get(&place) {
        return signature.clone();
    }
    let made = key.sign(kind, statement);
    let signature = Signature {
        key_id: Bytes::copy_from_slice(&id.0),
        ed25519: Bytes::copy_from_slice(made.ed25519()),
        ml_dsa_44: Bytes::copy_from_slice(made.ml_dsa_44()),
    };
    SIGNED.lock().expect("nobody panicked here").entry(place).or_insert(signature).clone()
}
