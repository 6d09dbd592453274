"""The directory, believed only as far as its registrars signed it: docs/protocol.md, step 2.

The hub tells a chain of amendments. The first must be the founding that the home trusts; each later one names the one
before it and bears the signatures that it needs. Whoever checks this needs to believe nobody who carried it.
"""

import hashlib
import tomllib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from resguardo.v1 import directory_pb2, message_pb2

ENTRY = b"application/vnd.resguardo.directory-entry.v1"
ED25519_KEY_BYTES = 32


class Untrue(Exception):
    """What was told does not follow from what is trusted."""


def trusted(home):
    """The digest of the founding that a home trusts."""
    return bytes.fromhex(tomllib.loads((home / "trust.toml").read_text())["founding"])


def pae(kind, statement):
    """What is signed of a statement: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement)


def key_id(key):
    return hashlib.sha256(key).digest()


def verify(key, kind, statement, signature):
    """Holds both signatures of a key to a statement's exact bytes."""
    signed = pae(kind, statement)
    try:
        Ed25519PublicKey.from_public_bytes(key[:ED25519_KEY_BYTES]).verify(signature.ed25519, signed)
        MLDSA44PublicKey.from_public_bytes(key[ED25519_KEY_BYTES:]).verify(signature.ml_dsa_44, signed)
    except (InvalidSignature, ValueError) as error:
        raise Untrue("a signature is not of the key that it names") from error


class Directory:
    """What the amendments so far say, in facts, and whose keys count."""

    def __init__(self, founding):
        self.founding = founding
        self.version, self.head = 0, bytes(32)
        self.facts = []
        self.registrars, self.desks, self.office_keys, self.ended = {}, {}, {}, set()

    def follow(self, amendments):
        """Takes in the exact bytes of amendments; raises `Untrue` at the first that does not count."""
        for exact in amendments:
            self.amend(message_pb2.Signed.FromString(exact))
        return self

    def amend(self, signed):
        amendment = directory_pb2.DirectoryAmendment.FromString(signed.statement)
        if (amendment.version, amendment.previous) != (self.version + 1, self.head):
            raise Untrue(f"amendment {amendment.version} does not follow version {self.version}")
        digest = hashlib.sha256(signed.statement).digest()
        if self.version == 0:
            if digest != self.founding:
                raise Untrue("the directory begins with another founding than this home trusts")
            # Those sign a founding whom it names.
            self.take([fact for fact in amendment.facts if fact.WhichOneof("fact") == "registrar"])
        signers = self.signers(signed)
        if self.version == 0 and len(signers) < len(self.registrars):
            raise Untrue("a founding is signed by every registrar that it names")
        self.authorise(amendment.facts, signers)
        self.take(amendment.facts)
        self.facts.extend(amendment.facts)
        self.version, self.head = amendment.version, digest

    def signers(self, signed):
        keys = {key_id(key): ("registrar", who, institution) for who, (institution, key) in self.registrars.items()}
        keys |= {key_id(key): ("desk", desk, office_of(desk)) for desk, key in self.desks.items() if self.counts(desk)}
        bytes_of = {key_id(key): key for _, key in self.registrars.values()}
        bytes_of |= {key_id(key): key for key in self.desks.values()}
        signers = set()
        for signature in signed.signatures:
            if signature.key_id not in keys:
                raise Untrue("an amendment is signed with a key that the directory does not hold")
            verify(bytes_of[signature.key_id], ENTRY, signed.statement, signature)
            signers.add(keys[signature.key_id])
        return signers

    def authorise(self, facts, signers):
        """Registrars of two institutions sign everything; a desk and a registrar the desk's next keys; a desk the next
        key of its office."""
        institutions = {institution for role, _, institution in signers if role == "registrar"}
        desks = {desk for role, desk, _ in signers if role == "desk"}
        if len(institutions) >= 2:
            return
        for fact in facts:
            kind = fact.WhichOneof("fact")
            own = kind == "desk" and fact.desk.desk in desks and institutions
            office = fact.office_key.office
            next_key = kind == "office_key" and office in self.office_keys
            if not own and not (next_key and any(office_of(desk) == office for desk in desks)):
                raise Untrue("an amendment lacks a signature")

    def take(self, facts):
        for fact in facts:
            kind = fact.WhichOneof("fact")
            if kind == "registrar":
                self.registrars[fact.registrar.name] = (fact.registrar.institution, fact.registrar.key)
            elif kind == "desk":
                self.desks[fact.desk.desk] = fact.desk.attended_key
            elif kind == "office_key":
                self.office_keys[fact.office_key.office] = fact.office_key.recipient
            elif kind == "desk_revoked":
                self.ended.add(fact.desk_revoked.desk)
            elif kind == "office_removed":
                self.ended.add(fact.office_removed.office)

    def counts(self, desk):
        return desk not in self.ended and office_of(desk) not in self.ended

    def members(self, stream):
        """Who receives a stream: the newest fact about it, without offices that were removed since; `None`: no stream."""
        members = None
        for fact in self.facts:
            if fact.WhichOneof("fact") == "stream" and fact.stream.name == stream:
                members = set(fact.stream.subscribers)
            elif fact.WhichOneof("fact") == "office_removed" and members is not None:
                members.discard(fact.office_removed.office)
        return members


def office_of(desk):
    return desk.split(":")[3]
