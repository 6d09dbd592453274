//! Secret keys as they lie in files: wrapped by a passphrase, or plain and marked as such.
//!
//! Owns both forms of text. Never reads or writes a file: whoever does holds it to being its owner's alone. No error has
//! anything of a key or of a passphrase.
//!
//! A wrapped file is an armored age file for a passphrase, so that `age --decrypt` can read it too; inside it, and in a plain
//! file after its first line, is the key's text. Source: C2SP `age.md`, "The scrypt recipient type".

use std::fmt;
use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use zeroize::Zeroizing;

use super::bech::KeyTextError;
use super::hybrid::OpeningKey;
use super::signing::SigningKey;

/// Bytes of a key file at most; a wrapped key has some 600.
pub const FILE_BYTES_MAX: usize = 16 * 1024;

/// First line of a file that nothing wraps, for development and tests.
const INSECURE: &str = "# INSECURE: not wrapped by a passphrase; for development and tests alone";
/// First line of a file that nothing wraps, because nobody is there to give a passphrase.
const UNATTENDED: &str = "# UNATTENDED: not wrapped by a passphrase; signs only what no person answers for";
const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Passphrases that are tried cost at least this much each: scrypt's N as a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkFactor(u8);

impl WorkFactor {
    /// Some second and 256 MiB for each try.
    pub const STANDARD: Self = Self(18);
    /// Nothing: for tests, which wrap and unwrap hundreds of keys.
    pub const TEST: Self = Self(1);
    /// What a file may ask of whoever unwraps it: some four seconds and 1 GiB.
    const MAX: Self = Self(20);
}

/// A secret key of either kind.
pub enum SecretKey {
    /// An office's, which opens what was sealed to it.
    Opening(OpeningKey),
    /// A desk's, an officer's or a registrar's, which signs.
    Signing(SigningKey),
}

/// Why a key lies in a file without a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// It is of a development set: it protects nothing, and each use of it says so.
    Insecure,
    /// It signs while nobody is there. Never a key that opens.
    Unattended,
}

/// A key file, read.
#[derive(Debug)]
pub enum KeyFile {
    /// Its key, and why it is not wrapped.
    Plain(Plain, SecretKey),
    /// Its key is wrapped by a passphrase.
    Wrapped(WrappedKey),
}

/// A key that a passphrase wraps.
#[derive(Clone)]
pub struct WrappedKey {
    armored: Vec<u8>,
}

/// Why a key file cannot be read or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// It is far larger than such a file can be.
    #[error("more than {FILE_BYTES_MAX} bytes: this is not a key file")]
    TooLarge,
    /// It begins like neither form.
    #[error(
        "not a key file: neither its armor nor the mark of a key that is not wrapped stands in its first line"
    )]
    Unknown,
    /// What is in it is not a key.
    #[error(transparent)]
    Key(#[from] KeyTextError),
    /// What wraps the key was changed or cut.
    #[error("what wraps the key is damaged")]
    Damaged,
    /// The passphrase is another one.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// Nobody chose it.
    #[error("an empty passphrase would wrap nothing")]
    EmptyPassphrase,
    /// It asks for more work than a key file of ours.
    #[error("unwrapping this key would take far more work than any key file of this program")]
    TooMuchWork,
    /// A key that opens would lie there for everybody who gets the file.
    #[error("a key that opens what was sealed is never unattended: it needs a passphrase")]
    UnattendedOpens,
}

impl SecretKey {
    fn from_text(text: &str) -> Result<Self, KeyFileError> {
        match SigningKey::from_text(text) {
            Ok(key) => Ok(Self::Signing(key)),
            Err(KeyTextError::Kind { .. }) => Ok(Self::Opening(OpeningKey::from_text(text)?)),
            Err(error) => Err(error.into()),
        }
    }

    fn to_text(&self) -> Zeroizing<String> {
        match self {
            Self::Opening(key) => key.to_text(),
            Self::Signing(key) => key.to_text(),
        }
    }
}

/// Shows which kind it is.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening(_) => "SecretKey::Opening",
            Self::Signing(_) => "SecretKey::Signing",
        })
    }
}

impl KeyFile {
    /// Reads a key file's bytes.
    ///
    /// # Errors
    /// [`KeyFileError::TooLarge`], [`KeyFileError::Unknown`], [`KeyFileError::Key`], [`KeyFileError::UnattendedOpens`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(KeyFileError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| KeyFileError::Unknown)?;
        let (first, rest) = text.split_once('\n').ok_or(KeyFileError::Unknown)?;
        let plain = match first.trim_end() {
            ARMOR => return Ok(Self::Wrapped(WrappedKey { armored: bytes.to_vec() })),
            INSECURE => Plain::Insecure,
            UNATTENDED => Plain::Unattended,
            _ => return Err(KeyFileError::Unknown),
        };
        let key = SecretKey::from_text(rest.trim())?;
        allowed(plain, &key)?;
        Ok(Self::Plain(plain, key))
    }
}

impl WrappedKey {
    /// Unwraps the key. Takes as long as the file asks for, some second.
    ///
    /// # Errors
    /// [`KeyFileError::WrongPassphrase`], [`KeyFileError::Damaged`], [`KeyFileError::TooMuchWork`], [`KeyFileError::Key`].
    pub fn unwrap_with(&self, passphrase: &str) -> Result<SecretKey, KeyFileError> {
        SecretKey::from_text(self.text_with(passphrase)?.trim())
    }

    /// Unwraps an officer's key, and the passphrase of the home's keys that stands in its second line.
    ///
    /// # Errors
    /// As [`Self::unwrap_with`].
    pub fn unwrap_officer_with(
        &self,
        passphrase: &str,
    ) -> Result<(SigningKey, Zeroizing<String>), KeyFileError> {
        let text = self.text_with(passphrase)?;
        let (key, of_home) = text.split_once('\n').ok_or(KeyFileError::Damaged)?;
        let of_home = of_home.strip_suffix('\n').ok_or(KeyFileError::Damaged)?;
        Ok((SigningKey::from_text(key)?, Zeroizing::new(of_home.to_owned())))
    }

    fn text_with(&self, passphrase: &str) -> Result<Zeroizing<String>, KeyFileError> {
        let decryptor = Decryptor::new(ArmoredReader::new(self.armored.as_slice()));
        let decryptor = decryptor.map_err(|_| KeyFileError::Damaged)?;
        let mut identity = scrypt::Identity::new(SecretString::from(passphrase));
        identity.set_max_work_factor(WorkFactor::MAX.0);
        let clear = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
        let clear = clear.map_err(|error| match error {
            DecryptError::DecryptionFailed => KeyFileError::WrongPassphrase,
            DecryptError::ExcessiveWork { .. } => KeyFileError::TooMuchWork,
            _ => KeyFileError::Damaged,
        })?;
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
        clear.take(FILE_BYTES_MAX as u64).read_to_end(&mut text).map_err(|_| KeyFileError::Damaged)?;
        let text = std::str::from_utf8(&text).map_err(|_| KeyFileError::Damaged)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// Shows nothing of it.
impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedKey")
    }
}

/// Gives the text of a file for a key that a passphrase wraps.
///
/// # Errors
/// [`KeyFileError::EmptyPassphrase`].
pub fn wrapped(key: &SecretKey, passphrase: &str, work: WorkFactor) -> Result<String, KeyFileError> {
    wrapped_text(&[&key.to_text()], passphrase, work)
}

/// Gives the text of a file for an officer's key, with the passphrase of the home's keys beside it: so an officer types one.
///
/// # Errors
/// [`KeyFileError::EmptyPassphrase`].
pub fn wrapped_officer(
    key: &SigningKey,
    of_home: &str,
    passphrase: &str,
    work: WorkFactor,
) -> Result<String, KeyFileError> {
    wrapped_text(&[&key.to_text(), of_home], passphrase, work)
}

fn wrapped_text(lines: &[&str], passphrase: &str, work: WorkFactor) -> Result<String, KeyFileError> {
    if passphrase.is_empty() {
        return Err(KeyFileError::EmptyPassphrase);
    }
    let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase));
    recipient.set_work_factor(work.0);
    let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let encryptor = encryptor.expect("one passphrase is a recipient");
    let in_memory = "memory takes what is written";
    let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).expect(in_memory);
    let mut clear = encryptor.wrap_output(armored).expect(in_memory);
    for line in lines {
        clear.write_all(line.as_bytes()).expect(in_memory);
        clear.write_all(b"\n").expect(in_memory);
    }
    let armored = clear.finish().expect(in_memory).finish().expect(in_memory);
    Ok(String::from_utf8(armored).expect("armor is ASCII"))
}

/// Gives the text of a file for a key that nothing wraps. It is the secret itself.
///
/// # Errors
/// [`KeyFileError::UnattendedOpens`].
pub fn plain(key: &SecretKey, why: Plain) -> Result<Zeroizing<String>, KeyFileError> {
    allowed(why, key)?;
    let mark = match why {
        Plain::Insecure => INSECURE,
        Plain::Unattended => UNATTENDED,
    };
    let secret = key.to_text();
    let mut text = Zeroizing::new(String::with_capacity(mark.len() + secret.len() + 2));
    for part in [mark, "\n", secret.as_str(), "\n"] {
        text.push_str(part);
    }
    Ok(text)
}

fn allowed(why: Plain, key: &SecretKey) -> Result<(), KeyFileError> {
    match (why, key) {
        (Plain::Unattended, SecretKey::Opening(_)) => Err(KeyFileError::UnattendedOpens),
        _ => Ok(()),
    }
}
