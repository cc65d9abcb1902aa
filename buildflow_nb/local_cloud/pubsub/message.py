"""A published message: checked, numbered and serialised once, then shared by all who hold it.

`Message.framed` is the message as field 2 of a `ReceivedMessage`, so a delivery only prepends an
ack id. Id and publish time are appended to the publisher's bytes instead of being set: in
protobuf the last value of a field wins ("Encoding", section "Last One Wins").

Limits are those of the Pub/Sub documentation, "Quotas and limits", section "Resource limits".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from buildflow_nb.local_cloud.pubsub.proto import (
    Pb,
    ReceivedMessage,
    Timestamp,
)
from buildflow_nb.local_cloud.pubsub.status import invalid

__all__ = ("MICROS", "Message", "check_messages", "stamp", "tag", "to_timestamp", "varint")

# Protobuf's wire format, as far as deliveries need it.
# A message is serialised once, when it is published, and every delivery of it is a join of bytes:
# building and serialising response objects would cost ten times the rest of a delivery. The
# layout is that of the protobuf documentation, "Encoding": a field is its number and type in one
# byte, followed, for type 2 (LEN), by a varint length and the content.

_LEN = 2  # wire type of strings, bytes and messages
_MORE = 0x80  # set on every byte of a varint but the last


@lru_cache(maxsize=8192)  # sizes repeat: a stream's messages are mostly alike
def varint(number: int) -> bytes:
    """Encode a number that is not negative."""
    out = bytearray()
    while number >= _MORE:
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire_type: int = _LEN) -> bytes:
    """Encode the head of a field."""
    return varint(field << 3 | wire_type)


def length_delimited(field: int, content: bytes) -> bytes:
    """Encode a field of type string, bytes or message."""
    return tag(field) + varint(len(content)) + content


MOST_MESSAGES = 1_000  # in one publish request
MOST_REQUEST_BYTES = 10_000_000
MOST_ATTRIBUTES = 100
MOST_KEY_BYTES = 256
MOST_VALUE_BYTES = 1_024
MOST_ORDERING_KEY_BYTES = 1_024
MICROS = 1_000_000  # what a float of seconds since the epoch can tell apart

_ID_TAG, _TIME_FIELD, _MESSAGE_TAG = tag(3), 4, tag(2)


class Message:
    """A message of a topic; `seq` grows with every message that the server takes.

    `published` is in seconds since the epoch; `size` is in bytes.
    """

    __slots__ = ("_attributes", "framed", "key", "published", "seq", "size")

    def __init__(self, seq: int, published: float, key: str, framed: bytes) -> None:
        self.seq = seq
        self.published = published
        self.key = key
        self.framed = framed
        self.size = len(framed)
        self._attributes: Mapping[str, str] | None = None

    def decode(self) -> Pb:
        """Give the message as a `PubsubMessage` that the caller may change."""
        return ReceivedMessage.FromString(self.framed).message

    @property
    def attributes(self) -> Mapping[str, str]:
        """Attributes, decoded on first use: only filters ask for them."""
        if self._attributes is None:
            self._attributes = dict(self.decode().attributes)
        return self._attributes

    @classmethod
    def restore(cls, framed: bytes) -> Message:
        """Make a message again from its `framed` form."""
        raw = ReceivedMessage.FromString(framed).message
        published = raw.publish_time.ToMicroseconds() / MICROS
        return cls(int(raw.message_id), published, raw.ordering_key, framed)


def check_messages(request: Pb) -> None:
    """Refuse what Google refuses to publish.

    Raises:
        StatusError: INVALID_ARGUMENT, if there is no message, there are too many or one is
            empty, too large, or has attributes beyond the limits.
    """
    _check_request("message_count", len(request.messages), 1, MOST_MESSAGES)
    _check_request("request_size", request.ByteSize(), 1, MOST_REQUEST_BYTES)
    for one in request.messages:
        if one.attributes:
            _check_attributes(one.attributes)
        elif not one.data:
            message = (
                "One or more messages in the publish request is empty. Each message must contain "
                "either non-empty data, or at least one attribute."
            )
            raise invalid(message)


def _check_request(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        message = (
            f"The value for {name} is too {'small' if value < least else 'large'}. You passed "
            f"{value} in the request, but it must be from {least} to {most}."
        )
        raise invalid(message)


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if len(attributes) > MOST_ATTRIBUTES:
        message = f"A message has {len(attributes)} attributes; the maximum is {MOST_ATTRIBUTES}."
        raise invalid(message)
    for key, value in attributes.items():
        if not key or len(key.encode()) > MOST_KEY_BYTES or key.startswith("goog"):
            message = (
                f"Invalid attribute key {key[:40]!r}: it must have 1 to {MOST_KEY_BYTES} bytes "
                "and must not start with goog."
            )
            raise invalid(message)
        if len(value.encode()) > MOST_VALUE_BYTES:
            message = (
                f"The value of attribute {key!r} has {len(value.encode())} bytes; the maximum is "
                f"{MOST_VALUE_BYTES}."
            )
            raise invalid(message)


def stamp(incoming: Sequence[Pb], first: int, published: float) -> list[Message]:
    """Number messages from `first` on, all published at one time.

    Raises:
        StatusError: INVALID_ARGUMENT, if an ordering key is too long.
    """
    published = round(published * MICROS) / MICROS
    time_field = length_delimited(_TIME_FIELD, to_timestamp(published).SerializeToString())
    messages = []
    for seq, one in enumerate(incoming, first):
        key = one.ordering_key
        if key and len(key.encode()) > MOST_ORDERING_KEY_BYTES:
            message = f"An ordering key has more than {MOST_ORDERING_KEY_BYTES} bytes."
            raise invalid(message)
        if one.HasField("publish_time"):
            one.ClearField("publish_time")  # messages inside of messages would be merged
        digits = b"%d" % seq
        encoded = b"%b%b%c%b%b" % (
            one.SerializeToString(),
            _ID_TAG,
            len(digits),
            digits,
            time_field,
        )
        framed = b"%b%b%b" % (_MESSAGE_TAG, varint(len(encoded)), encoded)
        messages.append(Message(seq, published, key, framed))
    return messages


def to_timestamp(seconds: float) -> Pb:
    """Give a time since the epoch as protobuf writes it."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(seconds * MICROS))
    return timestamp
