"""Keys as they lie in a home, and signatures by two algorithms: docs/sealing.md, "Keys", "A key file", "A signature".

Reads keys that nothing wraps, as a development set has them. What a passphrase wraps is left to the `resguardo`
program.
"""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from resguardo.v1 import message_pb2

ENVELOPE, MANIFEST, RECEIPT, NOTE, AMENDMENT, ROTATION, ORDER = (
    f"application/vnd.resguardo.{kind}.v1".encode()
    for kind in (
        "envelope",
        "manifest",
        "receipt",
        "officer-note",
        "directory-entry",
        "key-rotation",
        "erasure-order",
    )
)
SIGNS, OPENS = "resguardo-secret-key-", "age-secret-key-pq-"
DIGITS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
ED25519_KEY_BYTES = 32


class Untrue(Exception):
    """What was told does not follow from what is trusted."""


def sha256(data):
    return hashlib.sha256(data).digest()


def pae(kind, statement):
    """What is signed of a statement: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement)


def verify(key, kind, statement, signature):
    """Holds both signatures of a key to a statement's exact bytes."""
    signed = pae(kind, statement)
    try:
        half = "Ed25519"
        Ed25519PublicKey.from_public_bytes(key[:ED25519_KEY_BYTES]).verify(signature.ed25519, signed)
        half = "ML-DSA-44"
        MLDSA44PublicKey.from_public_bytes(key[ED25519_KEY_BYTES:]).verify(signature.ml_dsa_44, signed)
    except (InvalidSignature, ValueError) as error:
        raise Untrue(f"the {half} signature is not of the key that it names") from error


class SigningKey:
    """A desk's or an officer's key: its two seeds."""

    def __init__(self, seeds):
        self.ed25519 = Ed25519PrivateKey.from_private_bytes(seeds[:32])
        self.ml_dsa = MLDSA44PrivateKey.from_seed_bytes(seeds[32:])
        self.public = self.ed25519.public_key().public_bytes_raw() + self.ml_dsa.public_key().public_bytes_raw()
        self.id = sha256(self.public)

    def sign(self, kind, statement):
        signed = pae(kind, statement)
        return message_pb2.Signature(
            key_id=self.id, ed25519=self.ed25519.sign(signed), ml_dsa_44=self.ml_dsa.sign(signed)
        )

    def signed(self, kind, message):
        """The exact bytes of a `Signed` around a message: encoded here, and never again."""
        statement = message.SerializeToString(deterministic=True)
        signed = message_pb2.Signed(statement=statement, signatures=[self.sign(kind, statement)])
        return signed.SerializeToString(deterministic=True)


def read_key(path, expected):
    """The secret bytes of a key file that nothing wraps; `expected` is the prefix of its text, `SIGNS` or `OPENS`."""
    mark, _, text = path.read_text().partition("\n")
    if mark.startswith("-----BEGIN AGE ENCRYPTED FILE-----"):
        raise ValueError(
            f"{path}: a passphrase wraps this key, and this client reads only keys that nothing wraps, those of a "
            "development set: use the `resguardo` program with this home"
        )
    unattended = mark.startswith("# UNATTENDED:")
    if not unattended and not mark.startswith("# INSECURE:"):
        raise ValueError(f"{path}: not a key file: its first line is none of those that one begins with")
    if unattended and expected == OPENS:
        raise ValueError(f"{path}: a key that opens what was sealed is never unattended")
    try:
        return secret_of(text, expected)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def secret_of(text, expected):
    """The secret bytes of a key's text."""
    prefix, secret = bech32(text.strip())
    if prefix != expected or len(secret) != (64 if expected == SIGNS else 32):
        raise ValueError(f"a key of another kind than belongs here, {expected.upper()}1…")
    return secret


def bech32(text):
    """Reads Bech32 (BIP 173) of any length: the prefix and the bytes. No error has anything of the text."""
    prefix, one, digits = text.lower().rpartition("1")
    if not one or text not in (text.lower(), text.upper()) or not set(digits) <= set(DIGITS):
        raise ValueError("the text of a key is damaged or is none")
    values = [DIGITS.index(digit) for digit in digits]
    checksum = 1
    for value in [ord(it) >> 5 for it in prefix] + [0] + [ord(it) & 31 for it in prefix] + values:
        top, checksum = checksum >> 25, (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATOR):
            checksum ^= generator * (top >> bit & 1)
    bits = "".join(f"{value:05b}" for value in values[:-6])
    count = len(bits) // 8
    # One value has one text: what does not fill a byte is less than a digit, and zeros.
    if checksum != 1 or len(values) < 6 or len(bits) % 8 >= 5 or "1" in bits[count * 8 :]:
        raise ValueError("the text of a key is damaged")
    return prefix, bytes(int(bits[at * 8 : at * 8 + 8], 2) for at in range(count))
