"""From the bytes of an element to a message, checked before anything is sent.

Limits: Pub/Sub documentation, "Quotas and limits", section "Resource limits".
"""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.io._pubsub_link import Pb, messages
from buildflow_nb.types.gcp import MessageBytes

__all__ = ("FRAME_BYTES", "REQUEST_BYTES", "REQUEST_MESSAGES", "field_bytes", "to_message")

REQUEST_MESSAGES = 1_000
REQUEST_BYTES = 10_000_000
MOST_ATTRIBUTES = 100
KEY_BYTES = 256
VALUE_BYTES = 1_024
ORDERING_KEY_BYTES = 1_024
RESERVED = "goog"
FRAME_BYTES = 5  # tag and length of a field of less than 256 MiB, at most


def to_message(data: bytes, limit: int) -> Pb:
    """The message with this data, of so many bytes at most.

    Raises:
        ConversionError: Pub/Sub will not take it.
    """
    made = messages().PubsubMessage(data=data)
    if isinstance(data, MessageBytes):
        _add_rest(made, data)
    elif not data:
        msg = "the message is empty, and Pub/Sub takes none that is; return None to send nothing"
        raise ConversionError(msg)
    if (size := field_bytes(made)) > limit:
        msg = f"the message has {size:,} bytes, and Pub/Sub takes at most {limit:,}"
        raise ConversionError(msg)
    return made


def field_bytes(message: Pb) -> int:
    """The size of a message as part of a request, at most."""
    return int(message.ByteSize()) + FRAME_BYTES


def _add_rest(made: Pb, data: MessageBytes) -> None:
    if not data and not data.attributes:
        msg = "the message has neither data nor attributes, and Pub/Sub takes none like that"
        raise ConversionError(msg)
    _check_attributes(data.attributes)
    _check_bytes("ordering key", data.ordering_key, ORDERING_KEY_BYTES)
    made.attributes.update(data.attributes)
    made.ordering_key = data.ordering_key


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if len(attributes) > MOST_ATTRIBUTES:
        msg = f"the message has {len(attributes)} attributes, and Pub/Sub takes {MOST_ATTRIBUTES}"
        raise ConversionError(msg)
    for key, value in attributes.items():
        if not isinstance(key, str) or not isinstance(value, str):
            msg = f"attribute {key!r} is {value!r}; names and values of attributes are str"
            raise ConversionError(msg)
        if not key or key.startswith(RESERVED):
            msg = f"an attribute cannot be named {key!r}; Google reserves {RESERVED!r} and none"
            raise ConversionError(msg)
        _check_bytes("attribute name", key, KEY_BYTES)
        _check_bytes(f"value of attribute {key!r}", value, VALUE_BYTES)


def _check_bytes(what: str, text: str, most: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        msg = f"the {what} has no UTF-8: {error.reason} (at {error.start})"
        raise ConversionError(msg) from error
    if size > most:
        msg = f"the {what} has {size:,} bytes, and Pub/Sub takes at most {most:,}"
        raise ConversionError(msg)
