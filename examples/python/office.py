"""An office's program in a few lines: see `--help`, and README.md beside it for a first try."""

import argparse
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "target" / "python" / "generated"))

import receipts
from exchange import Office, Refused, name_of, read_envelope
from google.protobuf.message import DecodeError
from home import Home
from keys import Untrue
from resguardo.v1 import content_pb2, message_pb2
from sealing import Unopened


def main():
    arguments = parser().parse_args()
    try:
        arguments.run(Office(Home(arguments.home)), arguments)
    except (Refused, Untrue, Unopened, ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def publish(office, arguments):
    for message_id, error in office.hand_in_pending():
        print(f"not handed in: {message_id}: {error}", file=sys.stderr)
    message_id, accepted = office.publish(Path(arguments.file).read_bytes(), arguments.stream, arguments.about)
    print("published", message_id, "at index", accepted.index, flush=True)


def receive(office, arguments):
    for delivery in office.receive(arguments.count):
        if delivery.WhichOneof("content") != "message":
            print("notice", delivery.index, words(office, delivery.notice), flush=True)
            continue
        envelope = read_envelope(delivery.message.envelope)
        status = message_pb2.CapStatus.Name(envelope.status).removeprefix("CAP_STATUS_")
        what = "received"
        if delivery.message.erased:
            ordered = office.inbox.has(f"{name_of(delivery.message)}.erased")
            what = "erased" if ordered else "MISSING (the hub says erased, and shows no order: ask its sender)"
        print(what, uuid.UUID(bytes=envelope.message_id), status, "from", envelope.sender, flush=True)


def words(office, notice):
    """What a notice says, as far as it can be believed: a receipt by its desk's signature."""
    if notice.WhichOneof("notice") != "receipt":
        return notice.WhichOneof("notice") or "of an unknown kind"
    try:
        receipt, messages = receipts.check(office.directory, notice.receipt)
    except (Untrue, DecodeError) as error:
        return f"of a receipt that does not count: {error}"
    stage = message_pb2.Stage.Name(receipt.stage).removeprefix("STAGE_").lower()
    said = f"{stage} {uuid.UUID(bytes=messages[0].message_id)} by {receipt.desk}"
    if not notice.note:
        return f"{said}: {receipt.reason}"
    try:
        note = receipts.read_note(office.directory, office.home.opening, receipt, messages[0], notice.note)
        return f"{said}: {note.text}, says {note.officer}"
    except (Untrue, Unopened, DecodeError) as error:
        return f"{said}, with a note that does not count: {error}"


def show(office, arguments):
    message = office.find(arguments.message).message
    if (of := read_envelope(message.envelope).message_class) != message_pb2.MESSAGE_CLASS_ALERT:
        sys.exit(f"this client shows alerts alone: that is a {message_pb2.MessageClass.Name(of)}")
    content = office.opened(message)
    sys.stdout.buffer.write(content_pb2.AlertContent.FromString(content).cap)


def ack(office, arguments):
    stated = arguments.stage, arguments.action, arguments.reason, arguments.officer
    recorded = office.state(arguments.message, *stated)
    print("recorded at index", recorded.index, "" if recorded.news else "(it was known)", flush=True)


def audit(office, arguments):
    history = office.history(arguments.message)
    print("accepted", when(history.message.accepted_unix_us), "from", history.message.sender)
    for delivery in history.deliveries:
        stages = ", ".join(
            f"{message_pb2.Stage.Name(it.stage).removeprefix('STAGE_').lower()} {when(it.recorded_unix_us)}"
            for it in delivery.stages
        )
        print(f"{delivery.office}: {stages or 'nothing yet'}")


def when(unix_us):
    return datetime.fromtimestamp(unix_us / 1_000_000, timezone.utc).isoformat(timespec="seconds")


def parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, help="a desk's home, e.g. certs-dev/iachr")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("publish", help="publish a CAP 1.2 alert")
    command.add_argument("file")
    command.add_argument("--stream", default="monitoring-protection")
    command.add_argument("--about", action="append", default=[], help="the id of a message that it updates or cancels")
    command.set_defaults(run=publish)
    command = commands.add_parser("receive", help="receive, keep and acknowledge as received")
    command.add_argument("--count", type=int, help="end after so many; else go on until Ctrl-C")
    command.set_defaults(run=receive)
    command = commands.add_parser("show", help="write a kept alert")
    command.add_argument("message")
    command.set_defaults(run=show)
    command = commands.add_parser("ack", help="state what a person did")
    command.add_argument("message")
    command.add_argument("--stage", choices=["read", "acted", "declined", "unreadable"], required=True)
    actions = "with acted: contacted-person, asked-state, … or none with a reason"
    command.add_argument("--action", default="unspecified", help=actions)
    command.add_argument("--reason", default="", help="why; sealed, but with unreadable: then everybody can read it")
    command.add_argument("--officer", help="the id of who states it, where the desk has several officers")
    command.set_defaults(run=ack)
    command = commands.add_parser("audit", help="tell a message's history")
    command.add_argument("message")
    command.set_defaults(run=audit)
    return parser


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
