"""Receipts: what a desk states of messages, signed, and who of its people says so. docs/protocol.md, steps 6 and 7.

Owns their whole form, both ways: `by_itself` and `by_officer` are the only places where a receipt comes into being,
`check` and `read_note` those where one is believed.
"""

import os
import time

from directory import office_of
from keys import MANIFEST, NOTE, RECEIPT, Untrue, sha256, verify
from resguardo.v1 import exchange_pb2, message_pb2
from sealing import seal, unseal

BY_ITSELF = {message_pb2.STAGE_RECEIVED, message_pb2.STAGE_UNREADABLE, message_pb2.STAGE_ERASED}
SEED_BYTES, SALT_BYTES = 32, 16


def by_itself(key, desk, stage, messages, **more):
    """What a machine may state of `CoveredMessage`s: as it is handed up, without a note."""
    return exchange_pb2.HandedReceipt(receipt=signed(key, desk, stage, messages, at_unix_us=now_us(), **more))


def by_officer(home, directory, officer, sender, stage, message, action, text):
    """What an officer states of a message of the desk `sender`, with the note that says who and why.

    The note is for those whom it concerns: the office that sent the message, headquarters and one's own.
    """
    name, key = officer
    if not text.strip() and (stage == message_pb2.STAGE_DECLINED or action == message_pb2.ACTION_NONE):
        raise ValueError("it needs a reason; none is given")
    stated = {"stage": stage, "action": action, "at_unix_us": now_us()}
    note = message_pb2.OfficerNote(
        officer=name,
        officer_key=key.public,
        message_id=message.message_id,
        envelope_digest=message.envelope_digest,
        text=text,
        **stated,
    )
    content = key.signed(NOTE, note)
    offices = sorted({office_of(sender), home.office, directory.headquarters or home.office})
    manifest = message_pb2.SealedManifest(
        sender=home.identity,
        recipients=offices,
        message_id=message.message_id,
        part=message_pb2.SEALED_PART_NOTE,
        content_digest=sha256(content),
    )
    sealed = seal(directory.keys_of(offices), home.attended.signed(MANIFEST, manifest), content)
    receipt = signed(home.attended, home.identity, messages=[message], note_digest=sha256(sealed), **stated)
    return exchange_pb2.HandedReceipt(receipt=receipt, note=sealed)


def signed(key, desk, stage, messages, **more):
    """The exact bytes of a receipt: encoded and signed here, and never again."""
    messages = sorted(messages, key=lambda it: it.index)
    seed = os.urandom(SEED_BYTES)
    receipt = message_pb2.Receipt(desk=desk, stage=stage, covers=covers(seed, messages), **more)
    statement = receipt.SerializeToString(deterministic=True)
    signatures = [key.sign(RECEIPT, statement)]
    whole = message_pb2.SignedReceipt(statement=statement, signatures=signatures, messages=messages, seed=seed)
    return whole.SerializeToString(deterministic=True)


def check(directory, exact, now=False):
    """Believes a receipt as far as its desk signed it; gives what it states, and the messages that it covers."""
    whole = message_pb2.SignedReceipt.FromString(exact)
    receipt = message_pb2.Receipt.FromString(whole.statement)
    directory.check(receipt.desk, RECEIPT, whole, by_itself=receipt.stage in BY_ITSELF and not receipt.opened, now=now)
    sizes = {(len(it.message_id), len(it.envelope_digest)) for it in whole.messages}
    if len(whole.seed) != SEED_BYTES or sizes - {(16, 32)}:
        raise Untrue("what stands beside the receipt is not of its form")
    if list(receipt.covers) != covers(whole.seed, whole.messages):
        raise Untrue("the messages that stand beside the receipt are not those that it covers")
    return receipt, whole.messages


def read_note(directory, keys, receipt, message, note):
    """Opens the note of a receipt that was checked; raises `Untrue`, `Unopened` for one that does not hold."""
    if sha256(note) != receipt.note_digest:
        raise Untrue("the note is not the one that the receipt names")
    manifest, content = unseal(note, keys)
    outer, inner = message_pb2.Signed.FromString(manifest), message_pb2.Signed.FromString(content)
    manifest = message_pb2.SealedManifest.FromString(outer.statement)
    directory.check(receipt.desk, MANIFEST, outer)
    expected = (receipt.desk, message.message_id, message_pb2.SEALED_PART_NOTE, sha256(content))
    if (manifest.sender, manifest.message_id, manifest.part, manifest.content_digest) != expected:
        raise Untrue("what is sealed belongs to another receipt")
    note = message_pb2.OfficerNote.FromString(inner.statement)
    if [it.key_id for it in inner.signatures] != [sha256(note.officer_key)]:
        raise Untrue("an officer signs a note once, with the key that it names")
    verify(note.officer_key, NOTE, inner.statement, inner.signatures[0])
    expected = (message.message_id, message.envelope_digest, receipt.stage, receipt.action, receipt.at_unix_us)
    if (note.message_id, note.envelope_digest, note.stage, note.action, note.at_unix_us) != expected:
        raise Untrue("the note is of another receipt")
    return note


def covers(seed, messages):
    """What a receipt states of each message: salted, so that it tells nothing to whoever does not know the message."""
    return [cover(seed, place, it) for place, it in enumerate(messages)]


def cover(seed, place, message):
    salt = sha256(b"resguardo receipt salt v1" + seed + place.to_bytes(4, "little"))[:SALT_BYTES]
    return sha256(b"resguardo receipt cover v1" + salt + message.message_id + message.envelope_digest)


def now_us():
    return time.time_ns() // 1_000
