//! Keys as one word of text: Bech32 (BIP 173) without its limit of length, as the age format has it.
//!
//! Owns writing and reading it, with no copy of a secret left behind. Never says what a key is for: that is the word's prefix.

use zeroize::Zeroizing;

/// Digits of five bits, by their value (BIP 173).
const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM_DIGITS: usize = 6;
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];

/// Characters of a key's text at most: about twice the longest key, the public half of a signing key.
const CHARACTERS_MAX: usize = 4096;

/// Why a text is not a key. Says nothing of the text: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// It is not Bech32: a character is wrong, missing or exchanged, or its checksum says so.
    #[error("the text of a key is damaged or is none: it begins with {expected}1 and has a checksum")]
    Damaged {
        /// The prefix that was expected.
        expected: &'static str,
    },
    /// It is of another kind.
    #[error("the text is not the kind of key that is expected here, which begins with {expected}1")]
    Kind {
        /// The prefix that was expected.
        expected: &'static str,
    },
    /// The text is whole, but what it holds cannot be a key.
    #[error("the text that begins with {expected}1 is whole, but what it holds is not a key")]
    Value {
        /// The prefix that was expected.
        expected: &'static str,
    },
}

/// Writes bytes under a prefix, in small letters.
pub(super) fn write(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // Its full room is taken first: a text that grew would leave pieces of itself behind.
    let digits = (bytes.len() * 8).div_ceil(5);
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 1 + digits + CHECKSUM_DIGITS));
    text.push_str(prefix);
    text.push('1');
    let mut sum = Checksum::over(prefix);
    let mut put = |digit: u8, sum: &mut Checksum| {
        sum.take(digit);
        text.push(char::from(DIGITS[usize::from(digit)]));
    };
    for digit in 0..digits {
        let mut value = 0;
        for bit in digit * 5..digit * 5 + 5 {
            let byte = bytes.get(bit / 8).copied().unwrap_or(0);
            value = (value << 1) | ((byte >> (7 - bit % 8)) & 1);
        }
        put(value, &mut sum);
    }
    for digit in sum.finish() {
        put(digit, &mut sum);
    }
    text
}

/// Reads what stands under a prefix, in small or in capital letters.
pub(super) fn read(prefix: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyTextError> {
    let damaged = KeyTextError::Damaged { expected: prefix };
    let (small, capital) =
        (text.bytes().any(|it| it.is_ascii_lowercase()), text.bytes().any(|it| it.is_ascii_uppercase()));
    if text.len() > CHARACTERS_MAX || !text.is_ascii() || (small && capital) {
        return Err(damaged);
    }
    let (found, digits) = text.rsplit_once('1').ok_or(damaged)?;
    let data = digits.len().checked_sub(CHECKSUM_DIGITS).ok_or(damaged)?;
    let found = Zeroizing::new(found.to_ascii_lowercase());
    let mut sum = Checksum::over(&found);
    let mut bytes = Zeroizing::new(Vec::with_capacity(data * 5 / 8));
    let (mut left, mut bits) = (0_u32, 0);
    for (at, letter) in digits.bytes().enumerate() {
        let value = DIGITS.iter().position(|it| *it == letter.to_ascii_lowercase()).ok_or(damaged)?;
        let value = u8::try_from(value).expect("32 digits have values below 32");
        sum.take(value);
        if at < data {
            (left, bits) = ((left << 5) | u32::from(value), bits + 5);
        }
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(left >> bits).expect("what is above eight bits was taken"));
            left &= (1 << bits) - 1;
        }
    }
    if sum.0 != 1 {
        return Err(damaged);
    }
    if *found != prefix {
        return Err(KeyTextError::Kind { expected: prefix });
    }
    // One value has one text: what does not fill a byte is less than a digit, and zeros.
    if bits >= 5 || left != 0 {
        return Err(damaged);
    }
    Ok(bytes)
}

/// The checksum so far; a text with its own checksum has 1.
struct Checksum(u32);

impl Checksum {
    fn over(prefix: &str) -> Self {
        let mut sum = Self(1);
        prefix.bytes().for_each(|it| sum.take(it >> 5));
        sum.take(0);
        prefix.bytes().for_each(|it| sum.take(it & 31));
        sum
    }

    fn take(&mut self, digit: u8) {
        let top = self.0 >> 25;
        self.0 = ((self.0 & 0x01ff_ffff) << 5) ^ u32::from(digit);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if (top >> bit) & 1 == 1 {
                self.0 ^= generator;
            }
        }
    }

    fn finish(&self) -> [u8; CHECKSUM_DIGITS] {
        let mut sum = Self(self.0);
        (0..CHECKSUM_DIGITS).for_each(|_| sum.take(0));
        let sum = sum.0 ^ 1;
        std::array::from_fn(|at| {
            u8::try_from((sum >> (5 * (5 - at))) & 31).expect("five bits fit into a byte")
        })
    }
}
