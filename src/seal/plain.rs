//! Signatures over bytes as they are, by one algorithm at a time, for formats that say themselves what is signed.
//!
//! Owns the rule that keeps these apart from signed statements: the bytes of [`Plain`] never begin as DSSE's encoding does, and
//! [`super::pae`] always begins so. Whoever holds a signature of one sort can therefore never show it as one of the other.
//! Never says what the bytes mean, and never asks for both algorithms: that is for whoever reads the format.
//! Sources: RFC 8032, FIPS 204 (pure ML-DSA with an empty context), DSSE 1.0.0.

use std::fmt;

use aws_lc_rs::signature::{ED25519, ML_DSA_44, ParsedPublicKey};

use super::bech::KeyTextError;
use super::signing::{
    Algorithm, ED25519_KEY_BYTES, ML_DSA_KEY_BYTES, ML_DSA_SIGNATURE_BYTES, SignatureError, SigningKey,
    VERIFYING_PREFIX, VerifyingKey,
};
use super::statement::PAE_BEGINS;

/// Bytes that are signed as they are. They do not begin with `DSSEv1 `.
#[derive(Clone, Copy)]
pub struct Plain<'a>(&'a [u8]);

/// Bytes that only a signed statement may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes that begin with \"DSSEv1 \" are a statement's, expected are others")]
pub struct NotPlain;

impl<'a> Plain<'a> {
    /// Takes any bytes but those of DSSE's encoding.
    ///
    /// # Errors
    /// [`NotPlain`] for bytes that begin with `DSSEv1 `.
    pub fn of(bytes: &'a [u8]) -> Result<Self, NotPlain> {
        if bytes.starts_with(PAE_BEGINS) { Err(NotPlain) } else { Ok(Self(bytes)) }
    }
}

impl SigningKey {
    /// Signs bytes by one algorithm: 64 bytes of Ed25519, or 2,420 of ML-DSA-44, which are others each time.
    pub fn sign_plain(&self, algorithm: Algorithm, bytes: Plain<'_>) -> Vec<u8> {
        match algorithm {
            Algorithm::Ed25519 => self.ed25519.sign(bytes.0).as_ref().to_vec(),
            Algorithm::MlDsa44 => {
                let mut signature = vec![0; ML_DSA_SIGNATURE_BYTES];
                // It needs memory and the system's randomness, without which nothing may go on.
                self.ml_dsa.sign(bytes.0, &mut signature).expect("a key of ML-DSA-44 signs");
                signature
            }
        }
    }
}

impl VerifyingKey {
    /// Gives its half for one algorithm.
    pub fn half(&self, algorithm: Algorithm) -> HalfKey {
        let key = match algorithm {
            Algorithm::Ed25519 => &self.ed25519,
            Algorithm::MlDsa44 => &self.ml_dsa,
        };
        HalfKey { algorithm, key: key.clone() }
    }
}

/// The public key of one algorithm.
#[derive(Clone)]
pub struct HalfKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl HalfKey {
    /// Takes a key's bytes: 32 of Ed25519, or 1,312 of ML-DSA-44.
    ///
    /// # Errors
    /// [`KeyTextError::Value`] for another length, or bytes that are no key.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyTextError> {
        let refused = KeyTextError::Value { expected: VERIFYING_PREFIX };
        let (expected, key) = match algorithm {
            Algorithm::Ed25519 => (ED25519_KEY_BYTES, ParsedPublicKey::new(&ED25519, bytes)),
            Algorithm::MlDsa44 => (ML_DSA_KEY_BYTES, ParsedPublicKey::new(&ML_DSA_44, bytes)),
        };
        let key = key.map_err(|_| refused)?;
        if bytes.len() == expected { Ok(Self { algorithm, key }) } else { Err(refused) }
    }

    /// Gives the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Gives the key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.key.as_ref()
    }

    /// Holds a signature to bytes.
    ///
    /// # Errors
    /// [`SignatureError::Failed`] where it is not of this key over these bytes, whatever its length.
    pub fn verify(&self, bytes: Plain<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        self.key.verify_sig(bytes.0, signature).map_err(|_| SignatureError::Failed(self.algorithm))
    }
}

impl PartialEq for HalfKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for HalfKey {}

/// Shows the algorithm.
impl fmt::Debug for HalfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HalfKey({})", self.algorithm)
    }
}
