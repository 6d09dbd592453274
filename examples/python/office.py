"""An office's program in a few lines: see `--help`, and README.md beside it for a first try."""

import argparse
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "target" / "python" / "generated"))

from exchange import Home, Office, Refused
from resguardo.v1 import message_pb2


def main():
    arguments = parser().parse_args()
    try:
        arguments.run(Office(Home(arguments.home)), arguments)
    except (Refused, ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def publish(office, arguments):
    for message_id, error in office.hand_in_pending():
        print(f"refused, and kept aside: {message_id}: {error}", file=sys.stderr)
    message_id, accepted = office.publish(Path(arguments.file).read_bytes(), arguments.stream, arguments.about)
    print("published", message_id, "at index", accepted.index, flush=True)


def receive(office, arguments):
    for delivery in office.receive(arguments.count):
        if delivery.WhichOneof("content") != "message":
            print("notice", delivery.index, flush=True)
            continue
        envelope = message_pb2.Envelope.FromString(delivery.message.envelope)
        status = message_pb2.CapStatus.Name(envelope.status).removeprefix("CAP_STATUS_")
        print("received", uuid.UUID(bytes=envelope.message_id), status, "from", envelope.sender, flush=True)


def show(office, arguments):
    sys.stdout.buffer.write(office.find(arguments.message).message.payload)


def ack(office, arguments):
    recorded = office.state(arguments.message, arguments.stage, arguments.action, arguments.reason)
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
    command = commands.add_parser("show", help="write a kept message's payload")
    command.add_argument("message")
    command.set_defaults(run=show)
    command = commands.add_parser("ack", help="state what a person did")
    command.add_argument("message")
    command.add_argument("--stage", choices=["read", "acted", "declined", "unreadable"], required=True)
    command.add_argument("--action", help="with acted: contacted-person, asked-state, … or none with a reason")
    command.add_argument("--reason", default="")
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
