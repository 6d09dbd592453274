//! The keys that are sealed to: ML-KEM-768 and X25519 together, as the age format's `mlkem768x25519`.
//!
//! Owns both halves of such a key, their texts, and the stanza that wraps a file's key for one recipient. Never seals a
//! content. Source: C2SP `age.md`, "The MLKEM768-X25519 hybrid post-quantum recipient type"; RFC 9180.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::secrecy::ExposeSecret as _;
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use zeroize::Zeroizing;

use super::bech::{self, KeyTextError};

/// The prefix of a recipient's text (C2SP `age.md`).
const RECIPIENT_PREFIX: &str = "age1pq";
/// The prefix of an opening key's text, in small letters (C2SP `age.md`).
const KEY_PREFIX: &str = "age-secret-key-pq-";
/// First argument of a stanza, and HPKE's `info` (C2SP `age.md`).
const STANZA_TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// What all recipients of a file must have in common, so that none of them is weaker against a quantum computer.
const LABEL: &str = "postquantum";

/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203, table 3), after which a recipient's X25519 key stands.
const ML_KEM_KEY_BYTES: usize = 1184;
/// Bytes of an ML-KEM-768 ciphertext (FIPS 203, table 3), after which a stanza's X25519 share stands.
const ML_KEM_CIPHERTEXT_BYTES: usize = 1088;
/// Bytes of a stanza's encapsulated key: the ciphertext and the share.
const ENCAPSULATED_BYTES: usize = ML_KEM_CIPHERTEXT_BYTES + 32;
/// Bytes of a stanza's body: the wrapped file key and its tag.
const BODY_BYTES: usize = FILE_KEY_BYTES + 16;

/// The public half of a key: whom something is sealed to.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    key: <XWing as Kem>::PublicKey,
}

/// The secret half of a key: with it an office opens what was sealed to it.
///
/// It lies in one place of memory from its making on: what is moved leaves a copy behind.
#[derive(Clone)]
pub struct OpeningKey {
    key: Box<<XWing as Kem>::PrivateKey>,
}

impl Recipient {
    /// Takes a recipient's 1,216 bytes.
    ///
    /// # Errors
    /// [`KeyTextError::Value`] for another length, for numbers that ML-KEM does not allow, and for an X25519 key of low order,
    /// whose secrets everybody knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyTextError> {
        let refused = KeyTextError::Value { expected: RECIPIENT_PREFIX };
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).map_err(|_| refused)?;
        if is_low_order(&bytes[ML_KEM_KEY_BYTES..]) {
            return Err(refused);
        }
        Ok(Self { key })
    }

    /// Gives its 1,216 bytes: the ML-KEM-768 key, then the X25519 key.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.key.to_bytes().to_vec()
    }
}

impl OpeningKey {
    /// Makes a new key from what fills bytes at random.
    pub fn generate(fill: impl FnOnce(&mut [u8])) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        fill(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// Takes the 32 bytes from which the key follows.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = <XWing as Kem>::PrivateKey::from_bytes(seed);
        Self { key: Box::new(key.expect("every 32 bytes are a key")) }
    }

    /// Reads its text, `AGE-SECRET-KEY-PQ-1…`.
    ///
    /// # Errors
    /// [`KeyTextError`], which has nothing of the text.
    pub fn from_text(text: &str) -> Result<Self, KeyTextError> {
        let bytes = bech::read(KEY_PREFIX, text)?;
        let seed = bytes.as_slice().try_into().map_err(|_| KeyTextError::Value { expected: KEY_PREFIX })?;
        Ok(Self::from_seed(seed))
    }

    /// Gives its text, which is the secret itself.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut seed = Zeroizing::new([0; 32]);
        self.key.write_exact(seed.as_mut());
        let mut text = bech::write(KEY_PREFIX, seed.as_ref());
        text.make_ascii_uppercase();
        text
    }

    /// Gives its public half.
    pub fn recipient(&self) -> Recipient {
        Recipient { key: XWing::sk_to_pk(&self.key) }
    }

    /// Gives the file key that a stanza wraps; `None` if it is for another key, which looks the same as a damaged one.
    fn unwrapped(&self, encapsulated: &<XWing as Kem>::EncappedKey, body: &[u8]) -> Option<FileKey> {
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.key,
            encapsulated,
            INFO,
            body,
            &[],
        );
        let opened = Zeroizing::new(opened.ok()?);
        Some(FileKey::init_with_mut(|key| key.copy_from_slice(&opened)))
    }
}

/// Shows the text of the form `age1pq1…`, some 1,960 characters.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech::write(RECIPIENT_PREFIX, &self.to_bytes()))
    }
}

/// Shows the beginning alone.
impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({:.24}…)", self.to_string())
    }
}

/// Shows nothing of it.
impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey")
    }
}

impl FromStr for Recipient {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        Self::from_bytes(&bech::read(RECIPIENT_PREFIX, text)?)
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let sealed = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.key,
            INFO,
            file_key.expose_secret(),
            &[],
        );
        let (encapsulated, body) = sealed.map_err(|error| EncryptError::Io(std::io::Error::other(error)))?;
        let argument = BASE64_STANDARD_NO_PAD.encode(encapsulated.to_bytes());
        let stanza = Stanza { tag: STANZA_TAG.to_owned(), args: vec![argument], body };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

impl age::Identity for OpeningKey {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    /// Looks at the form of every stanza first, so that all recipients of a file say the same of it.
    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        match wrapped(stanzas) {
            Ok(all) => all.iter().find_map(|(encapsulated, body)| self.unwrapped(encapsulated, body)).map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A file key as it stands wrapped in a stanza: what opens it, and its body.
type Wrapped<'a> = (<XWing as Kem>::EncappedKey, &'a [u8]);

/// Gives what each stanza of this kind wraps.
///
/// # Errors
/// [`DecryptError::InvalidHeader`]: one of them is of another form.
pub(super) fn wrapped(stanzas: &[Stanza]) -> Result<Vec<Wrapped<'_>>, DecryptError> {
    let ours = stanzas.iter().filter(|it| it.tag == STANZA_TAG);
    let wrapped = ours.map(|stanza| Some((encapsulated_of(stanza)?, stanza.body.as_slice())));
    wrapped.collect::<Option<_>>().ok_or(DecryptError::InvalidHeader)
}

/// Gives the encapsulated key of a stanza of the right form.
///
/// The body's length is held to before anything is decrypted, and an X25519 share of low order is refused, for it would leave
/// the secret to ML-KEM alone: HPKE's implementation lets it pass.
fn encapsulated_of(stanza: &Stanza) -> Option<<XWing as Kem>::EncappedKey> {
    let [argument] = stanza.args.as_slice() else { return None };
    let bytes = BASE64_STANDARD_NO_PAD.decode(argument).ok()?;
    let whole = bytes.len() == ENCAPSULATED_BYTES && stanza.body.len() == BODY_BYTES;
    if !whole || is_low_order(&bytes[ML_KEM_CIPHERTEXT_BYTES..]) {
        return None;
    }
    <XWing as Kem>::EncappedKey::from_bytes(&bytes).ok()
}

/// Tells whether an X25519 key gives the same secret whatever it is multiplied with (RFC 7748, section 6.1).
///
/// Every scalar is a multiple of eight, so any one shows it, and AWS-LC refuses the secret that is all zeros.
fn is_low_order(share: &[u8]) -> bool {
    let any = PrivateKey::from_private_key(&X25519, &[1; 32]).expect("every 32 bytes are an X25519 key");
    agree(&any, UnparsedPublicKey::new(&X25519, share), (), |_| Ok(())).is_err()
}
