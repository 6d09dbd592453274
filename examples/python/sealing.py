"""Sealing and opening: age files for ML-KEM-768 and X25519 together, byte by byte as docs/sealing.md has them.

Owns the form, and whom something is sealed to. Who sealed it is another matter: `exchange.py` holds what comes out to
its manifest. Sources: C2SP age.md; RFC 9180 with ML-KEM-768 and X25519, which `cryptography` has.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"age-encryption.org/v1\n"
TAG, INFO = b"mlkem768x25519", b"age-encryption.org/mlkem768x25519"
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
ML_KEM_KEY_BYTES, ENCAPSULATED_BYTES, BODY_BYTES = 1184, 1088 + 32, 16 + 16
HEADER_BYTES_MAX = 1_613_824
PIECE_BYTES, AEAD_BYTES = 64 * 1024, 16
HEAD = struct.Struct("<4sIQ")
MAGIC, MANIFEST_BYTES_MAX = b"RSG1", 131_072

STANZA = rb"-> ([!-~]+(?: [!-~]+)*)\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)"
HEADER = re.compile(rb"(" + re.escape(VERSION) + rb"(?:" + STANZA + rb")+---) ([A-Za-z0-9+/]{43})\n")


class Unopened(Exception):
    """It cannot be opened. The words say nothing of what is inside."""


class OpeningKey:
    """An office's key, from the 32 bytes of its key file."""

    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.key = MLKEM768X25519PrivateKey(ml_kem, X25519PrivateKey.from_private_bytes(expanded[64:]))

    def unwrap(self, encapsulated, body):
        try:
            return SUITE.decrypt(encapsulated + body, self.key, INFO)
        except InvalidTag:
            return None  # for another key, or damaged: both look the same


def seal(recipients, manifest, content):
    """Seals a manifest and a content for recipients, 1,216 bytes each."""
    file_key, nonce = os.urandom(16), os.urandom(16)
    stanzas = [wrap(recipient, file_key) for recipient in recipients]
    # One for nobody: readers must pass over what they do not know.
    stanzas.append(stanza(f"{secrets.token_hex(4)}-grease".encode(), os.urandom(1 + secrets.randbelow(64))))
    header = VERSION + b"".join(stanzas) + b"---"
    clear = HEAD.pack(MAGIC, len(manifest), len(content)) + manifest + content
    clear += bytes(padded(len(clear)) - len(clear))
    return header + b" " + b64(code(file_key, header)) + b"\n" + nonce + encrypt(file_key, nonce, clear)


def unseal(sealed, keys):
    """Opens a sealing with one of the keys; gives manifest and content, once all of it is known to be whole."""
    clear = decrypted(sealed, keys)
    if len(clear) < HEAD.size or clear[:4] != MAGIC:
        raise Unopened("an age file, but not one with a manifest inside")
    _, manifest_bytes, content_bytes = HEAD.unpack_from(clear)
    if manifest_bytes > MANIFEST_BYTES_MAX:
        raise Unopened("the manifest is longer than any")
    content_at = HEAD.size + manifest_bytes
    end = content_at + content_bytes
    if len(clear) != padded(end) or any(clear[end:]):
        raise Unopened("the padding after the content is not what its length asks for")
    return clear[HEAD.size : content_at], clear[content_at:end]


def padded(count):
    """The size up to which so many bytes are padded: it says little of them."""
    for step in (4096, 16_384, 65_536):
        if count <= step:
            return step
    exponent = count.bit_length() - 1
    unit = 1 << exponent - exponent.bit_length()
    return -(-count // unit) * unit


def decrypted(sealed, keys):
    """The clear text of any age file for one of the keys."""
    header = HEADER.match(sealed[:HEADER_BYTES_MAX])
    if header is None:
        raise Unopened("the header is damaged: it is none of an age file")
    wrapped = [it for it in map(encapsulated, re.findall(STANZA, header[1])) if it]
    file_keys = (key.unwrap(*it) for key in keys for it in wrapped)
    file_key = next((it for it in file_keys if it is not None), None)
    if file_key is None:
        raise Unopened("sealed to other keys: none of those at hand is among its recipients")
    if not hmac.compare_digest(b64(code(file_key, header[1])), header[4]):
        raise Unopened("the header is damaged: its authentication code is of another")
    return decrypt(file_key, sealed[header.end() :])


def wrap(recipient, file_key):
    ml_kem, x25519 = recipient[:ML_KEM_KEY_BYTES], recipient[ML_KEM_KEY_BYTES:]
    if is_low_order(x25519):
        raise ValueError("a key that is sealed to is of low order: everybody knows its secrets")
    ml_kem, x25519 = MLKEM768PublicKey.from_public_bytes(ml_kem), X25519PublicKey.from_public_bytes(x25519)
    sealed = SUITE.encrypt(file_key, MLKEM768X25519PublicKey(ml_kem, x25519), INFO)
    return stanza(TAG + b" " + b64(sealed[:ENCAPSULATED_BYTES]), sealed[ENCAPSULATED_BYTES:])


def stanza(arguments, body):
    text = b64(body)
    # The last line is shorter than the others, and empty where they are all full.
    lines = [text[at : at + 64] for at in range(0, len(text) + 1, 64)]
    return b"-> " + arguments + b"\n" + b"\n".join(lines) + b"\n"


def encapsulated(found):
    """The encapsulated key and the body of a stanza for a key of ours; `None` for a stanza of another kind."""
    arguments, body = found
    tag, *arguments = arguments.split(b" ")
    body = unb64(body.replace(b"\n", b""))
    if tag != TAG:
        return None
    key = unb64(arguments[0]) if len(arguments) == 1 else b""
    if len(key) != ENCAPSULATED_BYTES or len(body) != BODY_BYTES or is_low_order(key[-32:]):
        raise Unopened("the header is damaged: a recipient's part is of another form")
    return key, body


def is_low_order(share):
    """Whether an X25519 key gives the same secret whatever it is multiplied with: any number shows it."""
    try:
        X25519PrivateKey.from_private_bytes(bytes([1] * 32)).exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        return True
    return False


def code(file_key, header):
    return hmac.digest(derived(file_key, b"", b"header"), header, "sha256")


def derived(file_key, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(file_key)


def pieces(file_key, nonce, data, size):
    """The cipher, and each piece of a payload with its nonce: a count, and whether it is the last."""
    cipher = ChaCha20Poly1305(derived(file_key, nonce, b"payload"))
    last = max(0, -(-len(data) // size) - 1)
    for at in range(last + 1):
        yield cipher, at.to_bytes(11, "big") + bytes([at == last]), data[at * size : (at + 1) * size]


def encrypt(file_key, nonce, clear):
    found = pieces(file_key, nonce, clear, PIECE_BYTES)
    return b"".join(cipher.encrypt(nonce, piece, None) for cipher, nonce, piece in found)


def decrypt(file_key, payload):
    nonce, payload = payload[:16], payload[16:]
    try:
        found = pieces(file_key, nonce, payload, PIECE_BYTES + AEAD_BYTES)
        clear = [cipher.decrypt(nonce, piece, None) for cipher, nonce, piece in found]
    except InvalidTag:
        raise Unopened("a part of the sealed content was changed or cut") from None
    if len(clear) > 1 and not clear[-1]:
        raise Unopened("a part of the sealed content was changed or cut")
    return b"".join(clear)


def b64(data):
    return base64.b64encode(data).rstrip(b"=")


def unb64(text):
    """Base64 without padding, in the one form that bytes have."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        data = None
    if data is None or b64(data) != text:
        raise Unopened("the header is damaged: it is none of an age file")
    return data
