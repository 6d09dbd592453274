//! The bare primitives of the libraries: what signing and sealing cannot take less than.
//!
//! Ed25519, ML-DSA-44 and ChaCha20-Poly1305 of AWS-LC, and the hybrid key exchange (X-Wing: ML-KEM-768 and X25519) with HPKE
//! around it, as the age format's stanzas have it. No encoding, no keys to be found, nothing read or written.

use std::hint::black_box;

use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ParsedPublicKey, PqdsaKeyPair,
};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS};

/// Bytes of what a stanza wraps: a file's key.
const WRAPPED_BYTES: usize = 16;
/// Bytes of an ML-DSA-44 signature (FIPS 204, table 2).
const ML_DSA_SIGNATURE_BYTES: usize = 2420;

/// Keys, and what was signed and sealed with them.
pub(crate) struct Primitives {
    statement: Vec<u8>,
    content_bytes: usize,
    ed25519: Ed25519KeyPair,
    ml_dsa: PqdsaKeyPair,
    publics: [ParsedPublicKey; 2],
    signatures: [Vec<u8>; 2],
    opening: <XWing as Kem>::PrivateKey,
    recipient: <XWing as Kem>::PublicKey,
    wrapped: (<XWing as Kem>::EncappedKey, Vec<u8>),
    cipher: LessSafeKey,
}

impl Primitives {
    /// Makes keys to sign a statement, and to seal a content of so many bytes.
    pub(crate) fn new(statement: &[u8], content_bytes: usize) -> Result<Self> {
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&[7; 32])?;
        let ml_dsa = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, &[8; 32])?;
        let publics = [
            ParsedPublicKey::new(&ED25519, ed25519.public_key().as_ref())?,
            ParsedPublicKey::new(&ML_DSA_44, ml_dsa.public_key().as_ref())?,
        ];
        let opening = <XWing as Kem>::PrivateKey::from_bytes(&[9; 32]).map_err(|error| anyhow!("{error}"))?;
        let recipient = XWing::sk_to_pk(&opening);
        let wrapped = wrap(&recipient)?;
        let cipher = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[6; 32])?);
        let (statement, signatures) = (statement.to_vec(), Default::default());
        let made = Self {
            statement,
            content_bytes,
            ed25519,
            ml_dsa,
            publics,
            signatures,
            opening,
            recipient,
            wrapped,
            cipher,
        };
        Ok(Self { signatures: made.signatures()?, ..made })
    }

    fn signatures(&self) -> Result<[Vec<u8>; 2]> {
        let mut ml_dsa = vec![0; ML_DSA_SIGNATURE_BYTES];
        self.ml_dsa.sign(&self.statement, &mut ml_dsa)?;
        Ok([self.ed25519.sign(&self.statement).as_ref().to_vec(), ml_dsa])
    }

    /// Signs by both algorithms.
    pub(crate) fn sign(&self) -> Result<()> {
        black_box(self.signatures()?);
        Ok(())
    }

    /// Verifies both signatures.
    pub(crate) fn verify(&self) -> Result<()> {
        for (public, signature) in self.publics.iter().zip(&self.signatures) {
            public.verify_sig(&self.statement, signature)?;
        }
        Ok(())
    }

    /// Wraps a key so many times, and enciphers a content.
    pub(crate) fn seal(&self, times: usize) -> Result<()> {
        for _ in 0..times {
            black_box(wrap(&self.recipient)?);
        }
        self.encipher()
    }

    /// Unwraps a key, and deciphers a content: that takes what enciphering takes.
    pub(crate) fn open(&self) -> Result<()> {
        let (encapsulated, body) = &self.wrapped;
        let unwrapped = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.opening,
            encapsulated,
            &[],
            body,
            &[],
        );
        black_box(unwrapped.map_err(|error| anyhow!("{error}"))?);
        self.encipher()
    }

    fn encipher(&self) -> Result<()> {
        let mut content = vec![0; self.content_bytes];
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.cipher.seal_in_place_separate_tag(nonce, Aad::empty(), &mut content)?;
        drop(black_box((tag, content)));
        Ok(())
    }
}

fn wrap(recipient: &<XWing as Kem>::PublicKey) -> Result<(<XWing as Kem>::EncappedKey, Vec<u8>)> {
    let wrapped = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        recipient,
        &[],
        &[5; WRAPPED_BYTES],
        &[],
    );
    wrapped.map_err(|error| anyhow!("{error}"))
}
