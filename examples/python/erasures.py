"""Orders to erase, and whether they hold: docs/protocol.md, step 9."""

import time

import grpc
from directory import office_of
from google.protobuf.message import DecodeError
from keys import ORDER, Untrue, verify
from resguardo.v1 import audit_pb2, audit_pb2_grpc, message_pb2

DAYS_OTHERWISE, DAY_US = 3 * 365, 24 * 60 * 60 * 1_000_000


def is_erased(channel, directory, index, envelope):
    """Whether more than the hub's word says that a message is erased: an order, or that its time is over."""
    days = [fact.retention.payload_days for fact in directory.facts if fact.WhichOneof("fact") == "retention"]
    if time.time_ns() // 1_000 >= envelope.sent_unix_us + (days or [DAYS_OTHERWISE])[-1] * DAY_US:
        return True
    selection = audit_pb2.Selection(from_index=index)
    try:
        audit = audit_pb2_grpc.AuditServiceStub(channel)
        frames = audit.ListErasures(audit_pb2.ListErasuresRequest(selection=selection), timeout=60)
        return any(holds(directory, row.order, envelope) for frame in frames for row in frame.erasures)
    except grpc.RpcError:
        return False


def holds(directory, exact, envelope):
    """Whether an order is about a message, and signed by a desk of the office that sent it or by a registrar."""
    try:
        signed = message_pb2.Signed.FromString(exact)
        order = message_pb2.ErasureOrder.FromString(signed.statement)
        if order.message_id != envelope.message_id:
            return False
        if order.desk:
            directory.check(order.desk, ORDER, signed)
            return office_of(order.desk) == office_of(envelope.sender)
        _, key = directory.registrars.get(order.registrar, (None, None))
        if key is None or len(signed.signatures) != 1:
            return False
        verify(key, ORDER, signed.statement, signed.signatures[0])
        return order.sender_office == office_of(envelope.sender)
    except (DecodeError, Untrue, IndexError):
        return False
