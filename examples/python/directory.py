"""The directory, believed only as far as it was signed: docs/protocol.md, step 2.

The hub tells a sequence of entries. The first must be the founding that the home trusts; each later amendment names the
one before it, each rotation the key that it replaces, and both bear the signatures that they need. Whoever checks this
needs to believe nobody who carried it.
"""

import tomllib

from keys import AMENDMENT, ROTATION, Untrue, pae, sha256, verify
from resguardo.v1 import directory_pb2, message_pb2


def trusted(home):
    """The digest of the founding that a home trusts."""
    return bytes.fromhex(tomllib.loads((home / "trust.toml").read_text())["founding"])


class Directory:
    """What the entries so far say, in facts, and whose keys count."""

    def __init__(self, founding):
        self.founding = founding
        self.version, self.head = 0, bytes(32)
        self.amendments, self.newest = 0, bytes(32)
        self.facts, self.headquarters = [], None
        self.registrars, self.desks, self.transfers, self.office_keys, self.ended = {}, {}, {}, {}, set()
        # The keys that desks sign or signed with, by id: what was signed before a rotation is held to them after it.
        self.signing, self.replaced, self.used = {}, set(), set()

    def follow(self, entries):
        """Takes in the exact bytes of entries; raises `Untrue` at the first that does not count."""
        for exact in entries:
            entry = directory_pb2.DirectoryEntry.FromString(exact)
            if entry.WhichOneof("entry") == "rotation":
                kind, signed = ROTATION, message_pb2.Signed.FromString(entry.rotation)
                self.rotate(signed)
            else:
                kind, signed = AMENDMENT, message_pb2.Signed.FromString(entry.amendment)
                self.amend(signed)
            self.version, self.head = self.version + 1, sha256(self.head + sha256(pae(kind, signed.statement)))
        return self

    def amend(self, signed):
        amendment = directory_pb2.DirectoryAmendment.FromString(signed.statement)
        if (amendment.number, amendment.previous) != (self.amendments + 1, self.newest):
            raise Untrue(f"amendment {amendment.number} does not follow amendment {self.amendments}")
        digest = sha256(signed.statement)
        if self.version == 0 and digest != self.founding:
            raise Untrue("the directory begins with another founding than the one that is trusted")
        # Those sign a founding whom it names.
        named = [it.registrar for it in amendment.facts if self.version == 0 and it.WhichOneof("fact") == "registrar"]
        signers = self.signers(AMENDMENT, signed, {it.name: (it.institution, it.key) for it in named})
        if self.version == 0 and len(signers) < len(named):
            raise Untrue("a founding is signed by every registrar that it names")
        if len({institution for role, _, institution in signers if role == "registrar"}) < 2:
            raise Untrue("an amendment lacks the signature of a registrar")
        self.take(amendment.facts)
        self.facts.extend(amendment.facts)
        self.amendments, self.newest = amendment.number, digest

    def rotate(self, signed):
        """New keys in the place of present ones: of an office by one of its desks; of a desk by it and a registrar."""
        rotation = directory_pb2.KeyRotation.FromString(signed.statement)
        signers = self.signers(ROTATION, signed)
        desks = {desk for role, desk, _ in signers if role == "desk"}
        kind, fact = rotation.fact.WhichOneof("fact"), rotation.fact
        if kind == "office_key":
            present = self.office_keys.get(fact.office_key.office)
            by_right = any(office_of(desk) == fact.office_key.office for desk in desks)
        elif kind == "desk":
            present = self.desks.get(fact.desk.desk)
            by_right = fact.desk.desk in desks and any(role == "registrar" for role, _, _ in signers)
        elif kind == "transfer_key":
            present = self.transfers.get(fact.transfer_key.desk)
            by_right = fact.transfer_key.desk in desks
        else:
            raise Untrue("a rotation has new keys of a desk or an office, and nothing else")
        if present is None or sha256(present) != rotation.replaces:
            raise Untrue("a rotation replaces a key that is not the present one")
        if not by_right:
            raise Untrue("a rotation lacks a signature")
        self.take([fact])
        self.facts.append(fact)

    def signers(self, kind, signed, founders=()):
        registrars = self.registrars | dict(founders)
        keys = {sha256(key): ("registrar", who, institution) for who, (institution, key) in registrars.items()}
        keys |= {sha256(key): ("desk", desk, office_of(desk)) for desk, key in self.desks.items() if self.counts(desk)}
        bytes_of = {sha256(key): key for _, key in registrars.values()}
        bytes_of |= {sha256(key): key for key in self.desks.values()}
        signers = set()
        for signature in signed.signatures:
            if signature.key_id not in keys:
                raise Untrue("an entry is signed with a key that the directory does not hold")
            verify(bytes_of[signature.key_id], kind, signed.statement, signature)
            signers.add(keys[signature.key_id])
        return signers

    def take(self, facts):
        for fact in facts:
            kind = fact.WhichOneof("fact")
            if kind == "registrar":
                self.use(fact.registrar.key)
                self.registrars[fact.registrar.name] = (fact.registrar.institution, fact.registrar.key)
            elif kind == "desk":
                self.use(fact.desk.attended_key, fact.desk.unattended_key, fact.desk.transfer_key)
                self.replaced |= {key_id for key_id, (desk, _, _) in self.signing.items() if desk == fact.desk.desk}
                self.desks[fact.desk.desk] = fact.desk.attended_key
                self.signing[sha256(fact.desk.attended_key)] = (fact.desk.desk, True, fact.desk.attended_key)
                self.signing[sha256(fact.desk.unattended_key)] = (fact.desk.desk, False, fact.desk.unattended_key)
                self.transfers[fact.desk.desk] = fact.desk.transfer_key
            elif kind == "transfer_key":
                self.use(fact.transfer_key.recipient)
                self.transfers[fact.transfer_key.desk] = fact.transfer_key.recipient
            elif kind == "office_key":
                self.use(fact.office_key.recipient)
                self.office_keys[fact.office_key.office] = fact.office_key.recipient
            elif kind == "headquarters":
                self.headquarters = fact.headquarters.office
            elif kind == "witness":
                self.use(fact.witness.key)
            elif kind == "hub_key":
                self.use(fact.hub_key.key)
            elif kind == "desk_revoked":
                self.ended.add(fact.desk_revoked.desk)
            elif kind == "office_removed":
                self.ended.add(fact.office_removed.office)

    def use(self, *keys):
        for key in map(sha256, keys):
            if key in self.used:
                raise Untrue("the directory has a key twice: a signature would not say who signed")
            self.used.add(key)

    def counts(self, desk):
        return desk not in self.ended and office_of(desk) not in self.ended

    def members(self, stream):
        """Who receives a stream: the newest fact about it, without offices removed since; `None`: no stream."""
        members = None
        for fact in self.facts:
            if fact.WhichOneof("fact") == "stream" and fact.stream.name == stream:
                members = set(fact.stream.subscribers)
            elif fact.WhichOneof("fact") == "office_removed" and members is not None:
                members.discard(fact.office_removed.office)
        return members

    def keys_of(self, offices):
        """What is sealed to for offices."""
        if lacking := [office for office in offices if office not in self.office_keys]:
            raise ValueError(f"the directory holds no key of {', '.join(lacking)} to seal to: ask the registrars")
        return [self.office_keys[office] for office in offices]

    def check(self, desk, kind, signed, by_itself=False, now=False):
        """Holds what a desk says to its one signature: by its attended key, or what a machine says by either.

        With `now` a key that was replaced, or is of a desk that was revoked, does not count any more.
        """
        if len(signed.signatures) != 1:
            raise Untrue(f"a desk signs what it says once; there are {len(signed.signatures)} signatures")
        signature = signed.signatures[0]
        owner, attended, key = self.signing.get(signature.key_id, (None, None, None))
        if owner != desk:
            raise Untrue(f"it is signed with a key that is none of {desk}")
        if now and (signature.key_id in self.replaced or not self.counts(desk)):
            raise Untrue(f"it is signed with a former key of {desk}")
        if not attended and not by_itself:
            raise Untrue(f"it is signed with what {desk} signs with while nobody is there")
        verify(key, kind, signed.statement, signature)


def office_of(desk):
    return desk.split(":")[3]
