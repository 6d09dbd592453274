//! Signatures by two algorithms at once: Ed25519, and ML-DSA-44 for when there are quantum computers.
//!
//! Owns both halves of a signing key, its id, and the rule that both signatures must hold. Never says who holds a key.
//! Sources: RFC 8032, FIPS 204 (with an empty context), and `statement` for what is signed.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ParsedPublicKey, PqdsaKeyPair,
    VerificationAlgorithm,
};
use zeroize::Zeroizing;

use super::bech::{self, KeyTextError};
use super::sha256;
use super::statement::{Kind, pae};

const SEED_BYTES: usize = 32;
pub(super) const ED25519_KEY_BYTES: usize = 32;
const ED25519_SIGNATURE_BYTES: usize = 64;
/// FIPS 204, table 2.
pub(super) const ML_DSA_KEY_BYTES: usize = 1312;
pub(super) const ML_DSA_SIGNATURE_BYTES: usize = 2420;
pub(super) const VERIFYING_PREFIX: &str = "resguardo-verify";
const SIGNING_PREFIX: &str = "resguardo-secret-key-";

/// One of the two algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ML-DSA-44 (FIPS 204).
    MlDsa44,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// One of the two is not there.
    #[error("the {0} signature is missing")]
    Missing(Algorithm),
    /// One of the two cannot be one.
    #[error("the {algorithm} signature has {found} bytes, {expected} expected")]
    Length {
        /// Which.
        algorithm: Algorithm,
        /// Its length.
        found: usize,
        /// The only right length.
        expected: usize,
    },
    /// One of the two is not of this key over this statement.
    #[error("the {0} signature is not of this key over this statement")]
    Failed(Algorithm),
}

/// The secret half of a signing key.
///
/// Its seeds are zeroized when it is dropped. What AWS-LC made of them lies in memory of AWS-LC's, which overwrites it when
/// it is freed; it cannot be overwritten from here.
pub struct SigningKey {
    /// Boxed, since what is moved leaves a copy behind.
    seeds: Box<Zeroizing<[u8; 2 * SEED_BYTES]>>,
    pub(super) ed25519: Ed25519KeyPair,
    pub(super) ml_dsa: PqdsaKeyPair,
}

/// The public half of a signing key.
#[derive(Clone)]
pub struct VerifyingKey {
    pub(super) ed25519: ParsedPublicKey,
    pub(super) ml_dsa: ParsedPublicKey,
}

/// Both signatures over one statement. One that exists has the right lengths.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    ed25519: [u8; ED25519_SIGNATURE_BYTES],
    ml_dsa: Box<[u8; ML_DSA_SIGNATURE_BYTES]>,
}

/// Names a signing key: the SHA-256 of its public half's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

impl SigningKey {
    /// Makes a new key from what fills bytes at random.
    pub fn generate(fill: impl FnOnce(&mut [u8])) -> Self {
        let mut seeds = Zeroizing::new([0; 2 * SEED_BYTES]);
        fill(seeds.as_mut());
        Self::from_seeds(&seeds)
    }

    /// Takes the seeds from which the key follows: 32 bytes for Ed25519, then 32 for ML-DSA-44.
    pub fn from_seeds(seeds: &[u8; 2 * SEED_BYTES]) -> Self {
        let (one, two) = seeds.split_at(SEED_BYTES);
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(one).expect("every 32 bytes are a seed");
        let ml_dsa = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, two).expect("every 32 bytes are a seed");
        let mut kept = Box::new(Zeroizing::new([0; 2 * SEED_BYTES]));
        kept.copy_from_slice(seeds);
        Self { seeds: kept, ed25519, ml_dsa }
    }

    /// Reads its text, `RESGUARDO-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// [`KeyTextError`], which has nothing of the text.
    pub fn from_text(text: &str) -> Result<Self, KeyTextError> {
        let bytes = bech::read(SIGNING_PREFIX, text)?;
        let seeds = bytes.as_slice().try_into();
        Ok(Self::from_seeds(seeds.map_err(|_| KeyTextError::Value { expected: SIGNING_PREFIX })?))
    }

    /// Gives its text, which is the secret itself.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = bech::write(SIGNING_PREFIX, self.seeds.as_slice());
        text.make_ascii_uppercase();
        text
    }

    /// Signs a statement's exact bytes, by both algorithms. ML-DSA's signature is another one each time.
    pub fn sign(&self, kind: Kind, statement: &[u8]) -> Signature {
        let signed = pae(kind, statement);
        let ed25519 = self.ed25519.sign(&signed);
        let mut ml_dsa = Box::new([0; ML_DSA_SIGNATURE_BYTES]);
        // It needs memory and the system's randomness, without which nothing may go on.
        self.ml_dsa.sign(&signed, ml_dsa.as_mut_slice()).expect("a key of ML-DSA-44 signs");
        Signature { ed25519: ed25519.as_ref().try_into().expect("Ed25519 gives 64 bytes"), ml_dsa }
    }

    /// Gives its public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        let bytes = [self.ed25519.public_key().as_ref(), self.ml_dsa.public_key().as_ref()].concat();
        VerifyingKey::from_bytes(&bytes).expect("the public half of a key is one")
    }
}

impl VerifyingKey {
    /// Takes a key's 1,344 bytes.
    ///
    /// # Errors
    /// [`KeyTextError::Value`] for another length, or bytes that are no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyTextError> {
        let refused = KeyTextError::Value { expected: VERIFYING_PREFIX };
        if bytes.len() != ED25519_KEY_BYTES + ML_DSA_KEY_BYTES {
            return Err(refused);
        }
        let (one, two) = bytes.split_at(ED25519_KEY_BYTES);
        let key = |algorithm: &'static dyn VerificationAlgorithm, bytes| {
            ParsedPublicKey::new(algorithm, bytes).map_err(|_| refused)
        };
        Ok(Self { ed25519: key(&ED25519, one)?, ml_dsa: key(&ML_DSA_44, two)? })
    }

    /// Gives its 1,344 bytes: the Ed25519 key, then the ML-DSA-44 key.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.ed25519.as_ref(), self.ml_dsa.as_ref()].concat()
    }

    /// Gives its name.
    pub fn id(&self) -> KeyId {
        KeyId(sha256(&self.to_bytes()))
    }

    /// Holds both signatures to a statement's exact bytes. Parse a statement after this, never before.
    ///
    /// # Errors
    /// [`SignatureError::Failed`] by the first that does not hold, Ed25519's before ML-DSA's.
    pub fn verify(&self, kind: Kind, statement: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signed = pae(kind, statement);
        let failed = |algorithm| move |_| SignatureError::Failed(algorithm);
        self.ed25519.verify_sig(&signed, &signature.ed25519).map_err(failed(Algorithm::Ed25519))?;
        self.ml_dsa.verify_sig(&signed, signature.ml_dsa.as_slice()).map_err(failed(Algorithm::MlDsa44))
    }
}

impl Signature {
    /// Takes both signatures as they came.
    ///
    /// # Errors
    /// [`SignatureError::Missing`] for an empty one, [`SignatureError::Length`] for one of another length.
    pub fn from_parts(ed25519: &[u8], ml_dsa_44: &[u8]) -> Result<Self, SignatureError> {
        Ok(Self {
            ed25519: part(Algorithm::Ed25519, ed25519)?,
            ml_dsa: Box::new(part(Algorithm::MlDsa44, ml_dsa_44)?),
        })
    }

    /// Gives the Ed25519 signature, 64 bytes.
    pub fn ed25519(&self) -> &[u8] {
        &self.ed25519
    }

    /// Gives the ML-DSA-44 signature, 2,420 bytes.
    pub fn ml_dsa_44(&self) -> &[u8] {
        self.ml_dsa.as_slice()
    }
}

fn part<const BYTES: usize>(algorithm: Algorithm, bytes: &[u8]) -> Result<[u8; BYTES], SignatureError> {
    if bytes.is_empty() {
        return Err(SignatureError::Missing(algorithm));
    }
    bytes.try_into().map_err(|_| SignatureError::Length { algorithm, found: bytes.len(), expected: BYTES })
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa44 => "ML-DSA-44",
        })
    }
}

/// Shows nothing of it.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Shows the text of the form `resguardo-verify1…`, some 2,170 characters.
impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech::write(VERIFYING_PREFIX, &self.to_bytes()))
    }
}

/// Shows its id.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id())
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for VerifyingKey {}

impl FromStr for VerifyingKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        Self::from_bytes(&bech::read(VERIFYING_PREFIX, text)?)
    }
}

/// Shows that it is one.
impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature")
    }
}

/// Shows 64 hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
