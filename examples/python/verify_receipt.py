"""Verifies a receipt away from the exchange: says what it proves, or what is false about it. See `--help`.

Needs no hub, no gRPC and nothing of the `resguardo` program: the code generated from proto/, to read the bytes, and
`cryptography`. Whoever runs it believes one thing beforehand, the digest of the directory's founding, which each home
has in its `trust.toml`.
"""

import argparse
import json
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "target" / "python" / "generated"))

import receipts
from directory import Directory, office_of
from google.protobuf.message import DecodeError
from keys import ENVELOPE, Untrue, sha256
from resguardo.v1 import message_pb2


def verify(directory, exact, exact_envelope):
    """Holds a receipt to its desk, to a message and to its sender; gives what it states, and the envelope.

    `directory` is as it stood when the receipt was recorded, followed from its founding; the others are the exact bytes
    of a `SignedReceipt`, and of the `Signed` around the message's `Envelope`. Raises `Untrue` for what does not hold.
    """
    receipt, messages = receipts.check(directory, exact, now=True)
    signed = message_pb2.Signed.FromString(exact_envelope)
    envelope = message_pb2.Envelope.FromString(signed.statement)
    directory.check(envelope.sender, ENVELOPE, signed)
    covered = {(it.message_id, it.envelope_digest) for it in messages}
    if (envelope.message_id, sha256(signed.statement)) not in covered:
        raise Untrue("it does not cover this message")
    if office_of(receipt.desk) not in [it.office for it in envelope.recipients]:
        raise Untrue("the message was not for the office of the desk that states it")
    return receipt, envelope


def main():
    arguments = parser().parse_args()
    lines = Path(arguments.entries).read_text().splitlines()
    entries = [(it["index"], it["kind"], bytes.fromhex(it["statement_hex"])) for it in map(json.loads, lines)]
    try:
        exact = next(statement for index, _, statement in entries if index == arguments.receipt)
        told = [it for index, kind, it in entries if kind == "directory" and index < arguments.receipt]
        directory = Directory(bytes.fromhex(arguments.founding)).follow(told)
        envelopes = {
            sha256(message_pb2.Signed.FromString(it).statement): it for _, kind, it in entries if kind == "publish"
        }
        receipt, messages = receipts.check(directory, exact, now=True)
        at_hand = [envelopes[it.envelope_digest] for it in messages if it.envelope_digest in envelopes]
        held = [verify(directory, exact, it)[1] for it in at_hand]
    except StopIteration:
        sys.exit(f"error: there is no entry {arguments.receipt}")
    except (Untrue, DecodeError) as error:
        sys.exit(f"false: receipt {arguments.receipt}: {error}")
    if not held:
        sys.exit("error: the entries have none of the messages that the receipt covers: nothing to hold it to")
    print(f"true: {receipt.desk} stated {said(receipt)}, by its own clock at {when(receipt.at_unix_us)}")
    print("  both signatures hold, Ed25519 and ML-DSA-44, by a key that was that desk's by then")
    print(f"  the directory of version {directory.version} follows from founding {arguments.founding}")
    for envelope in held:
        print(f"  of message {uuid.UUID(bytes=envelope.message_id)}, which {envelope.sender} signed")
    if receipt.note_digest:
        print(f"  an officer's note goes with it, sealed, of SHA-256 {receipt.note_digest.hex()}")
    if others := len(messages) - len(held):
        print(f"  and of {others} more, whose envelopes are not among the entries")


def said(receipt):
    """A stage with what was done and why, in words."""
    stage = message_pb2.Stage.Name(receipt.stage).removeprefix("STAGE_").lower()
    action = message_pb2.Action.Name(receipt.action).removeprefix("ACTION_").lower().replace("_", "-")
    because = f" because: {receipt.reason}" if receipt.reason else ""
    return stage + (f" ({action})" if receipt.action else "") + because


def when(unix_us):
    return datetime.fromtimestamp(unix_us / 1_000_000, timezone.utc).isoformat(timespec="seconds")


def parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", help="a file with the lines of `resguardo --json audit entries`")
    parser.add_argument("receipt", type=int, help="the index of the receipt's entry")
    parser.add_argument("--founding", required=True, help="the SHA-256 of the directory's founding, 64 digits")
    return parser


if __name__ == "__main__":
    main()
