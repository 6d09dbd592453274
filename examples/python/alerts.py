"""What an envelope says of an alert, so that the hub can route it: docs/protocol.md, step 3."""

from datetime import datetime
from xml.etree import ElementTree

from resguardo.v1 import message_pb2

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"


def visible(alert):
    """The fields of the envelope that repeat what a CAP 1.2 document says."""
    root = ElementTree.fromstring(alert)
    text = lambda element, name: (element.findtext(CAP + name) or "").strip()
    infos, msg_type = root.findall(CAP + "info"), text(root, "msgType")
    fields = {
        "priority": priority(msg_type, [(text(it, "urgency"), text(it, "severity")) for it in infos]),
        "status": message_pb2.CapStatus.Value(f"CAP_STATUS_{text(root, 'status').upper()}"),
        "msg_type": message_pb2.CapMsgType.Value(f"CAP_MSG_TYPE_{msg_type.upper()}"),
    }
    expires = [text(info, "expires") for info in infos]
    if expires and all(expires):
        latest = max(datetime.fromisoformat(time) for time in expires)
        fields["expires_unix_us"] = int(latest.timestamp() * 1_000_000)
    return fields


def priority(msg_type, infos):
    """What is not said is taken for the worse: the rules are those of docs/protocol.md."""

    def of_info(urgency, severity):
        if urgency == "Immediate" or (urgency in ("Expected", "Unknown") and severity in ("Extreme", "Severe")):
            return message_pb2.PRIORITY_URGENT
        if urgency == "Past" and severity in ("Minor", "Unknown"):
            return message_pb2.PRIORITY_LOW
        return message_pb2.PRIORITY_NORMAL

    without = {"Error": message_pb2.PRIORITY_NORMAL, "Ack": message_pb2.PRIORITY_LOW}
    if msg_type == "Cancel" or not infos:
        return without.get(msg_type, message_pb2.PRIORITY_URGENT)
    found = min(of_info(*info) for info in infos)  # 1 is urgent, 3 is low
    return min(found, message_pb2.PRIORITY_NORMAL) if msg_type == "Update" else found
