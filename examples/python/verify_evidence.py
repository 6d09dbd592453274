"""Verifies a file of evidence by docs/evidence.md: says what it proves, or what is false about it. See `--help`.

Needs no hub, no line and nothing of the `resguardo` program: the code generated from proto/, to read the bytes, and
`cryptography`. Whoever runs it believes one thing beforehand, the trust file. Ends with 0 where all of it holds and enough
witnesses have cosigned, 7 where too few have, 5 where something does not hold.
"""

import argparse
import base64
import binascii
import copy
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "target" / "python" / "generated"))

import forms
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from directory import Directory, office_of
from forms import check
from google.protobuf.message import DecodeError
from keys import ENVELOPE, MANIFEST, NOTE, ORDER, RECEIPT, Untrue, sha256, verify
from resguardo.v1 import directory_pb2, evidence_pb2, message_pb2
from sealing import Unopened, unseal

FILE_BYTES_MAX, IDENTITY_BYTES_MAX, ON_THE_WAY_US = 64 << 20, 255, 10_000_000
DIRECTORY, PUBLISH, MISSED, ERASURE, RECEIPT_ENTRY = 1, 2, 6, 8, 3
BY_ED25519, TIMED_ED25519, TIMED_ML_DSA = 0x01, 0x04, 0x06
ED25519_KEY_BYTES = 32
HUB = "urn:resguardo:hub:"
# What says that a file does not hold.
UNTRUE = (Untrue, Unopened, DecodeError, UnicodeDecodeError, ValueError, IndexError, KeyError)


def inclusion_root(leaf, index, size, path):
    """The root that a path leads to: RFC 9162, section 2.1.3.2."""
    check(index < size, f"entry {index} is not in a tree of {size}")
    at, last, root = index, size - 1, leaf
    for beside in path:
        check(last > 0 and len(beside) == 32, f"the path of entry {index} is too long")
        if at & 1 or at == last:
            root = sha256(b"\x01" + beside + root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = sha256(b"\x01" + root + beside)
        at, last = at >> 1, last >> 1
    check(last == 0, f"the path of entry {index} is too short")
    return root


def root_of(leaves):
    """The root of a tree: RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"")
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + root_of(leaves[:left]) + root_of(leaves[left:]))


def leaf_of(entry):
    """The leaf of an entry of the journal."""
    identity = entry.identity.encode()
    check(len(identity) <= IDENTITY_BYTES_MAX and len(entry.nonce) == 16, f"entry {entry.index} is not of its form")
    numbers = entry.index.to_bytes(8, "little") + entry.recorded_unix_us.to_bytes(8, "little")
    recorded = numbers + bytes([entry.kind, len(identity)]) + identity + entry.statement
    return sha256(b"\x00" + sha256(b"resguardo journal entry v1" + entry.nonce + recorded))


class Log:
    """A checkpoint: a signed note, and whose lines stand under it."""

    def __init__(self, name, note):
        text, found, lines = note.decode().rpartition("\n\n")
        check(found and lines.endswith("\n"), f"the checkpoint of {name} is no note")
        self.name, self.text = name, text + "\n"
        parts = self.text.split("\n")
        check(len(parts) == 4 and parts[0] == name, f"the checkpoint is not one of {name}")
        check(re.fullmatch(r"0|[1-9][0-9]*", parts[1]) is not None, "the size of a checkpoint is no number")
        self.size, self.root = int(parts[1]), unbase64(parts[2])
        self.lines = [self.line(it) for it in lines[:-1].split("\n")]

    @staticmethod
    def line(text):
        found = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", text)
        check(found, "a line of a checkpoint is not of its form")
        signature = unbase64(found[2])
        return found[1], signature[:4], signature[4:]

    def times(self, name, kind, key):
        """The times of all lines by a key, each verified; nothing for those that say none."""
        own = sha256(name.encode() + b"\n" + bytes([kind]) + key)[:4]
        times = []
        for by, key_id, signature in self.lines:
            if (by, key_id) != (name, own):
                continue
            time = 0 if kind == BY_ED25519 else int.from_bytes(signature[:8], "big")
            check(time or name == self.name, f"the line of {name} says no time")
            if kind == BY_ED25519:
                signed = self.text.encode()
            elif kind == TIMED_ED25519:
                signed = f"cosignature/v1\ntime {time}\n{self.text}".encode()
            else:
                signed = b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + signature[:8]
                signed += bytes([len(self.name)]) + self.name.encode() + bytes(8)
                signed += self.size.to_bytes(8, "big") + self.root
            algorithm = MLDSA44PublicKey if kind == TIMED_ML_DSA else Ed25519PublicKey
            try:
                exact = signature if kind == BY_ED25519 else signature[8:]
                algorithm.from_public_bytes(key).verify(exact, signed)
            except (InvalidSignature, ValueError) as error:
                raise Untrue(f"the line of {name} does not hold") from error
            times.append(time)
        return times

    def witnessed(self, directory):
        """Who cosigned, and when enough had; every line must be the hub's or a witness's."""
        self.by_hub(directory)
        witnesses, needed, institutions = quorum(directory)
        known, first = 2, {}
        for name, office, institution, key in witnesses:
            one = self.times(name, TIMED_ED25519, key[:ED25519_KEY_BYTES])
            two = self.times(name, TIMED_ML_DSA, key[ED25519_KEY_BYTES:])
            check(one == two and len(one) < 2, f"{name} has not both lines at one time, or more than these")
            known += 2 * len(one)
            if one:
                first[office] = min((one[0], office, institution), first.get(office, (one[0], office, institution)))
        check(known == len(self.lines), "the checkpoint has lines of others than the hub and its witnesses")
        cosigned, reached = sorted(first.values()), None
        for place, (time, _, _) in enumerate(cosigned, 1):
            there = {institution for _, _, institution in cosigned[:place]}
            if reached is None and place >= needed and institutions <= there:
                reached = time
        return cosigned, needed, reached

    def by_hub(self, directory):
        keys = [fact.hub_key.key for fact in directory.facts if fact.WhichOneof("fact") == "hub_key"]
        for key in reversed(keys):
            try:
                one = self.times(self.name, BY_ED25519, key[:ED25519_KEY_BYTES])
                two = self.times(self.name, TIMED_ML_DSA, key[ED25519_KEY_BYTES:])
            except Untrue:
                continue
            if len(one) == 1 and len(two) == 1:
                return
        raise Untrue(f"the checkpoint of {self.name} is not signed by the hub")


def quorum(directory):
    """The witnesses, how many of their offices are enough, and of which institutions there must be one."""
    offices, witnesses, asked = {}, {}, None
    removed = set()
    for fact in directory.facts:
        kind = fact.WhichOneof("fact")
        if kind == "office":
            offices[fact.office.name] = fact.office.institution
        elif kind == "office_removed":
            removed.add(fact.office_removed.office)
        elif kind == "witness":
            witnesses[fact.witness.name] = (fact.witness.institution, fact.witness.key)
        elif kind == "quorum":
            asked = fact.quorum.witnesses
    unattended = {}
    for desk, attended, key in directory.signing.values():
        if not attended and sha256(key) not in directory.replaced and directory.counts(desk):
            unattended[desk] = key
    members = [(desk, office_of(desk), offices[office_of(desk)], key) for desk, key in unattended.items()]
    for name, (institution, key) in witnesses.items():
        identity = f"urn:resguardo:witness:{name}"
        members.append((identity, identity, institution, key))
    needed = asked or max(len(offices.keys() - removed) // 2 + 1, 2)
    institutions = {institution for institution, _ in directory.registrars.values()}
    there, count = {it[2] for it in members}, len({it[1] for it in members})
    if not institutions <= there or not len(institutions) <= needed <= count:
        return [], needed, institutions | {None}
    return members, needed, institutions


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Untrue("something is not Base64") from error
    check(base64.b64encode(data).decode() == text, "something is not the one Base64 of its bytes")
    return data


class Evidence:
    """A file that is read; `proved` says what it proves."""

    def __init__(self, exact, founding):
        check(len(exact) <= FILE_BYTES_MAX, "it is too long")
        self.file, self.founding = evidence_pb2.Evidence.FromString(exact), founding
        # Else it would write what it does not know as it came.
        self.file.DiscardUnknownFields()
        check(self.file.version == 1, "it is of another version than 1")
        check(self.file.SerializeToString(deterministic=True) == exact, "it is not in its one encoding")
        everything = sorted([*self.file.directory, *self.file.entries], key=lambda it: it.index)
        for entries in (self.file.directory, self.file.entries, everything):
            indexes = [it.index for it in entries]
            check(indexes == sorted(set(indexes)), "entries are out of order, or there twice")
        notes = [it.receipt_index for it in self.file.notes]
        check(notes == sorted(set(notes)), "notes are out of order, or there twice")
        self.everything, self.versions = everything, {}

    def log(self, name, note):
        return Log(f"resguardo-{self.founding[:16].hex()}/{name}", note)

    def follow(self):
        """Follows the directory, and keeps it as it stood after each entry."""
        directory = Directory(self.founding)
        for version, entry in enumerate(self.file.directory, 1):
            check(entry.kind == DIRECTORY, f"entry {entry.index} is none of the directory")
            directory.follow([entry.statement])
            self.versions[version] = copy.deepcopy(directory)
        check(self.versions, "there is no founding")
        return directory

    def at(self, entry):
        """The directory at an entry, and as it was so long before that nothing of then is on its way any more."""
        before = [it for it in self.file.directory if it.index < entry.index]
        long = [it for it in before if it.recorded_unix_us < entry.recorded_unix_us - ON_THE_WAY_US]
        check(before, f"there is no directory before entry {entry.index}")
        return self.versions[len(before)], self.versions.get(len(long), self.versions[len(before)])

    def counts(self, entry, desk, kind, signed, by_itself=False):
        now, before = self.at(entry)
        try:
            now.check(desk, kind, signed, by_itself, now=True)
        except Untrue:
            now.check(desk, kind, signed, by_itself)  # A key that it never had, or a signature that does not hold.
            before.check(desk, kind, signed, by_itself, now=True)
        check(entry.identity == desk, f"entry {entry.index} is answered for by another than {desk}")

    def proved(self):
        whole = self.follow()
        journal = self.log("journal", self.file.journal_checkpoint)
        cosigned, needed, reached = journal.witnessed(whole)
        witnessed = 0
        if self.file.directory_checkpoint:
            logged = self.log("directory", self.file.directory_checkpoint)
            check(0 < logged.size <= len(self.file.directory), "entries of the directory were left out")
            exact = [it.statement for it in self.file.directory[: logged.size]]
            exact = [directory_pb2.DirectoryEntry.FromString(it).SerializeToString(deterministic=True) for it in exact]
            leaves = [sha256(b"\x00" + sha256(b"resguardo directory entry v1" + it)) for it in exact]
            check(root_of(leaves) == logged.root, "the directory is not the one of its checkpoint")
            enough = logged.witnessed(self.versions[logged.size])[2]
            witnessed = logged.size if enough else 0
        last = max(self.file.entries, key=lambda it: it.index, default=None)
        judged_by = self.at(last)[0].version if last else 0
        before = 0
        for entry in self.everything:
            root = inclusion_root(leaf_of(entry), entry.index, journal.size, entry.path)
            check(root == journal.root, f"entry {entry.index} is not in the journal")
            check(entry.recorded_unix_us >= before, f"entry {entry.index} was recorded before the one before it")
            before = entry.recorded_unix_us
        return self.message() | {
            "witnessed": reached is not None and witnessed >= judged_by,
            "not_after_s": reached,
            "needed": needed,
            "cosigned": [office for _, office, _ in cosigned],
            "directory_version": whole.version,
            "directory_witnessed": witnessed,
        }

    def message(self):
        check(self.file.entries and self.file.entries[0].kind == PUBLISH, "there is no entry of the message")
        entry = self.file.entries[0]
        signed = message_pb2.Signed.FromString(entry.statement)
        envelope = message_pb2.Envelope.FromString(signed.statement)
        forms.envelope(envelope)
        self.counts(entry, envelope.sender, ENVELOPE, signed)
        check(not entry.HasField("cover"), "the message has a cover")
        now, _ = self.at(entry)
        check(envelope.directory_version <= now.version, "entries of the directory were left out before the message")
        offices = {fact.office.name for fact in now.facts if fact.WhichOneof("fact") == "office"}
        recipients = [it.office for it in envelope.recipients]
        check({*recipients, office_of(envelope.sender)} <= offices, "an office is not in the directory")
        self.index, self.envelope, self.digest = entry.index, envelope, sha256(signed.statement)
        notes = {it.receipt_index: it for it in self.file.notes}
        said = [self.said(it, notes) for it in self.file.entries[1:]]
        check(not notes, "a note goes with no receipt that is here")
        return {
            "message_id": str(uuid.UUID(bytes=envelope.message_id)),
            "sender": envelope.sender,
            "recipients": recipients,
            "payload_digest": envelope.payload_digest.hex(),
            "recorded_us": entry.recorded_unix_us,
            "said": said,
        }

    def said(self, entry, notes):
        check(entry.HasField("cover") == (entry.kind == RECEIPT_ENTRY), f"entry {entry.index}: a receipt has a cover")
        if entry.kind == RECEIPT_ENTRY:
            what = self.receipt(entry, notes)
        elif entry.kind == MISSED:
            what = self.missed(entry)
        elif entry.kind == ERASURE:
            what = self.erased(entry)
        else:
            raise Untrue(f"entry {entry.index} is of a kind that is not about a message")
        return {"index": entry.index, "recorded_us": entry.recorded_unix_us} | what

    def receipt(self, entry, notes):
        signed = message_pb2.Signed.FromString(entry.statement)
        receipt = message_pb2.Receipt.FromString(signed.statement)
        forms.receipt(receipt)
        machines = receipt.stage in forms.MACHINES
        outer = receipt.stage == message_pb2.STAGE_UNREADABLE and not receipt.opened
        self.counts(entry, receipt.desk, RECEIPT, signed, by_itself=machines or outer)
        self.is_for(entry, office_of(receipt.desk))
        check(machines or len(receipt.covers) == 1, f"entry {entry.index}: a person states a stage of one message")
        place, salt = entry.cover.place, entry.cover.salt
        own = sha256(b"resguardo receipt cover v1" + salt + self.envelope.message_id + self.digest)
        check(len(salt) == 16 and place < len(receipt.covers), f"entry {entry.index} has no such cover")
        check(receipt.covers[place] == own, f"entry {entry.index} is about another message")
        note = notes.pop(entry.index, None)
        officer = self.officer(entry, receipt, note) if note else None
        stage = message_pb2.Stage.Name(receipt.stage).removeprefix("STAGE_").lower()
        attended = self.at(entry)[0].signing[signed.signatures[0].key_id][1]
        action = message_pb2.Action.Name(receipt.action).removeprefix("ACTION_").lower().replace("_", "-")
        return {
            "desk": receipt.desk,
            "stage": stage,
            "at_us": receipt.at_unix_us,
            "action": action if receipt.action else None,
            "reason": receipt.reason,
            "attended": attended,
            "officer": officer,
        }

    def officer(self, entry, receipt, opened):
        check(receipt.note_digest == sha256(opened.note), f"the receipt {entry.index} names another note")
        manifest, content = unseal(opened.note, [Known(opened.file_key)])
        signed = message_pb2.Signed.FromString(manifest)
        inside = message_pb2.SealedManifest.FromString(signed.statement)
        self.at(entry)[0].check(receipt.desk, MANIFEST, signed)
        named = (inside.sender, inside.message_id, inside.part, inside.content_digest)
        own = (receipt.desk, self.envelope.message_id, message_pb2.SEALED_PART_NOTE, sha256(content))
        check(named == own, f"the note of entry {entry.index} was sealed as another's")
        signed = message_pb2.Signed.FromString(content)
        note = message_pb2.OfficerNote.FromString(signed.statement)
        check(len(signed.signatures) == 1, "an officer signs a note once")
        check(signed.signatures[0].key_id == sha256(note.officer_key), "the note names another key")
        verify(note.officer_key, NOTE, signed.statement, signed.signatures[0])
        check(1 <= len(note.officer.encode()) <= 128, f"the note of entry {entry.index} names nobody")
        says_why = note.stage == message_pb2.STAGE_DECLINED or note.action == message_pb2.ACTION_NONE
        check(len(note.text.encode()) <= 4096, f"the note of entry {entry.index} is too long")
        check(note.text.strip() or not says_why, f"the note of entry {entry.index} says no reason")
        about = (note.message_id, note.envelope_digest, note.stage, note.action, note.at_unix_us)
        own = (self.envelope.message_id, self.digest, receipt.stage, receipt.action, receipt.at_unix_us)
        check(about == own, f"the note of entry {entry.index} is of another receipt")
        return note.officer

    def missed(self, entry):
        overdue = message_pb2.Overdue.FromString(entry.statement)
        kind = overdue.WhichOneof("missed")
        check(kind in ("stage", "follow_up"), f"entry {entry.index} is about no message")
        missed = getattr(overdue, kind)
        self.is_about(entry, missed.message.index, missed.message.message_id)
        check(kind == "follow_up" or missed.status == self.envelope.status, f"entry {entry.index} has another status")
        self.is_for(entry, overdue.office)
        check(entry.identity.startswith(HUB), f"entry {entry.index} is not the hub's")
        what = message_pb2.Stage.Name(missed.stage)[6:].lower() if kind == "stage" else missed.obligation
        return {"office": overdue.office, "missed": what, "due_us": overdue.due_unix_us}

    def erased(self, entry):
        erasure = message_pb2.Erasure.FromString(entry.statement)
        if erasure.WhichOneof("erasure") == "retention":
            check(entry.identity.startswith(HUB), f"entry {entry.index} is not the hub's")
            check(erasure.retention.until_index >= self.index, f"entry {entry.index} is about earlier messages")
            return {"erased": "kept as long as policy asks"}
        signed = message_pb2.Signed.FromString(erasure.ordered.order)
        order = message_pb2.ErasureOrder.FromString(signed.statement)
        self.is_about(entry, erasure.ordered.message_index, order.message_id)
        if order.desk:
            check(office_of(order.desk) == office_of(self.envelope.sender), "another office ordered to erase it")
            self.counts(entry, order.desk, ORDER, signed)
            return {"erased": order.desk}
        check(order.sender_office == office_of(self.envelope.sender), "an order to erase another office's message")
        _, key = self.at(entry)[0].registrars.get(order.registrar, (None, b""))
        check(len(signed.signatures) == 1 and signed.signatures[0].key_id == sha256(key), "no registrar ordered it")
        verify(key, ORDER, signed.statement, signed.signatures[0])
        return {"erased": f"registrar {order.registrar}"}

    def is_about(self, entry, index, message_id):
        own = (self.index, self.envelope.message_id)
        check((index, message_id) == own, f"entry {entry.index} is about another message")

    def is_for(self, entry, office):
        recipients = [it.office for it in self.envelope.recipients]
        check(office in recipients, f"the message was not for {office}, which entry {entry.index} is of")


class Known:
    """The key of one sealing, in the place of an office's."""

    def __init__(self, file_key):
        self.file_key = file_key

    def unwrap(self, _encapsulated, _body):
        return self.file_key


def main():
    arguments = parser().parse_args()
    founding = bytes.fromhex(tomllib.loads(arguments.trust.read_text())["founding"])
    try:
        proved = Evidence(arguments.file.read_bytes(), founding).proved()
    except UNTRUE as error:
        print(f"false: {error}", file=sys.stderr)
        return 5
    print(json.dumps(proved, indent=2))
    print("not proved: that a person understood; that nothing else was said", file=sys.stderr)
    return 0 if proved["witnessed"] else 7


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the file of evidence")
    parser.add_argument("--trust", type=Path, required=True, help="the trust file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
