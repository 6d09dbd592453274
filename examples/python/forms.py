"""The form of an envelope and of a receipt: what `message.proto` asks of their fields. Never whether they are true."""

import re

from keys import Untrue
from resguardo.v1 import message_pb2

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
REFERENCES_MAX, VOIDED_MAX, FILES_MAX, FILE_BYTES_MAX = 64, 256, 64, 1 << 31
NOTICES_MAX, REASON_BYTES_MAX = 512, 1024
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
# Up to so many seconds a deadline has whole ones of these; days beyond.
STEPS, DEADLINE_S_MAX = ((120, 1), (2 * DAY_S, MINUTE_S), (60 * DAY_S, HOUR_S)), 3_653 * DAY_S
MACHINES = (message_pb2.STAGE_RECEIVED, message_pb2.STAGE_ERASED)
PERSONS = (message_pb2.STAGE_READ, message_pb2.STAGE_ACTED, message_pb2.STAGE_DECLINED)


def check(holds, words):
    if not holds:
        raise Untrue(words)


def is_name(text):
    return NAME.fullmatch(text) is not None


def is_desk(identity):
    parts = identity.split(":")
    return parts[:3] == ["urn", "resguardo", "office"] and len(parts) == 5 and all(map(is_name, parts[3:]))


def is_id(data):
    """A UUID of version 7."""
    return len(data) == 16 and data[6] >> 4 == 7 and data[8] >> 6 == 2


def ascends(values):
    return all(before < after for before, after in zip(values, values[1:], strict=False))


def is_deadline(seconds):
    step = next((step for until, step in STEPS if seconds <= until), DAY_S)
    return 1 <= seconds <= DEADLINE_S_MAX and seconds % step == 0


def envelope(it):
    check(is_id(it.message_id) and all(map(is_id, it.references)), "the envelope has an id that is none")
    known = it.message_class in range(1, 5) and it.priority in range(1, 4)
    check(known and it.status in range(1, 6) and it.msg_type in range(1, 6), "the envelope says what nobody knows")
    check(is_name(it.stream) and is_desk(it.sender), "the envelope names no stream or no desk")
    offices = [to.office for to in it.recipients]
    check(offices and ascends(offices) and all(map(is_name, offices)), "its recipients are none, or not ascending")
    check(all(len(to.key_id) == 32 and to.number for to in it.recipients), "a recipient has no key or no number")
    check(len(it.thread_id) == 16 and len(it.payload_digest) == 32, "the envelope has a digest that is none")
    check(len(it.references) <= REFERENCES_MAX and len(it.voided) <= VOIDED_MAX, "the envelope names too many")
    check(all(is_name(void.office) for void in it.voided), "the envelope voids a number of no office")
    asked = [(it.HasField(field), getattr(it, field)) for field in ("receive_by_s", "read_by_s", "act_by_s")]
    asked = [seconds for there, seconds in asked if there]
    check(all(map(is_deadline, asked)), "a deadline is none that there is")
    check(asked == sorted(asked), "a later stage is asked for sooner than an earlier one")
    files = [file.sha256 for file in it.files]
    check(not files or it.message_class == message_pb2.MESSAGE_CLASS_PACKET, "something else than a packet has files")
    check(len(files) <= FILES_MAX and ascends(files), "its files are too many, or not ascending")
    check(all(len(file.sha256) == 32 and file.bytes <= FILE_BYTES_MAX for file in it.files), "a file is none")
    resealing = it.message_class == message_pb2.MESSAGE_CLASS_RESEAL
    check(it.HasField("about") == resealing, "a resealing is about a message, and nothing else is")
    if resealing:
        of, own = it.about.office, it.sender.split(":")[3]
        check(is_name(of) and is_id(it.about.message_id), "a resealing is about a message that is none")
        check(len(it.about.envelope_digest) == 32, "a resealing is about a message without a digest")
        first = it.msg_type == message_pb2.CAP_MSG_TYPE_ALERT and not it.references
        between = len(offices) == 1 and offices[0] != own and of in (own, offices[0])
        check(first and between, "a resealing goes between the sender of the other message and one of its recipients")


def receipt(it):
    check(is_desk(it.desk) and it.stage in range(1, 7) and it.action in range(8), "the receipt says what nobody knows")
    check(it.stage in MACHINES or not it.notices, "a receipt of one message has notices")
    check(len(it.notices) <= NOTICES_MAX and ascends(it.notices), "its notices are too many, or not ascending")
    persons = it.stage in PERSONS
    check(len(it.note_digest) == (32 if persons else 0), "a note goes with what a person states, and with nothing else")
    check(bool(it.action) == (it.stage == message_pb2.STAGE_ACTED), "an action goes with acted, and with nothing else")
    unreadable = it.stage == message_pb2.STAGE_UNREADABLE
    check(unreadable or not it.opened, "what was read says that it was opened")
    check(bool(it.reason.strip() if unreadable else it.reason) == unreadable, "a reason goes with unreadable alone")
    check(len(it.reason.encode()) <= REASON_BYTES_MAX, "its reason is too long")
