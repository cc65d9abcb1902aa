"""From a text to an entry of SendMessageBatch, checked before anything is sent.

What SQS takes: Amazon SQS Developer Guide, "Message quotas" (size), API Reference, "SendMessage"
(characters, group and deduplication ids).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from buildflow_nb.core.errors import ConversionError

__all__ = ("GROUP", "Entry", "Fifo", "checked_size")

# XML 1.0, section 2.2, has no other characters, and SQS follows it.
UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
GROUP = "buildflow"  # of all messages that name none: one order for the whole queue
ID_LENGTH = 128  # characters of a group or a deduplication id
UNFIT_FOR_IDS = re.compile("[^!-~]")

Entry = dict[str, str]
_DECODER = msgspec.json.Decoder()


def checked_size(text: str, limit: int) -> int:
    """The size of a message in bytes.

    Raises:
        ConversionError: SQS will not take it.
    """
    if not text:
        msg = "the message is empty, and SQS takes none that is; return None to send nothing"
        raise ConversionError(msg)
    if (found := UNSENDABLE.search(text)) is not None:
        msg = f"SQS takes no character {found.group()!r} (at {found.start()}); encode it first"
        raise ConversionError(msg)
    size = len(text.encode())
    if size > limit:
        msg = f"the message has {size:,} bytes, and the queue takes at most {limit:,}"
        raise ConversionError(msg)
    return size


@dataclass(frozen=True, slots=True)
class Fifo:
    """What a FIFO queue wants to know of each message.

    The fields are of messages that are JSON objects. Without `group_by` all are one group, without
    `deduplicate_by` messages with the same text are one for five minutes.
    """

    group_by: str | None = None
    deduplicate_by: str | None = None

    def stamp(self, text: str) -> Entry:
        """The ids of a message.

        Raises:
            ConversionError: it has no such field.
        """
        fields = self._fields(text) if self.group_by or self.deduplicate_by else {}
        group = GROUP if self.group_by is None else _id_of(fields, self.group_by)
        if self.deduplicate_by is None:
            once = hashlib.sha256(text.encode()).hexdigest()
        else:
            once = _id_of(fields, self.deduplicate_by)
        return {"MessageGroupId": group, "MessageDeduplicationId": once}

    def _fields(self, text: str) -> dict[str, Any]:
        try:
            found = _DECODER.decode(text)
        except msgspec.DecodeError as error:
            name = self.group_by or self.deduplicate_by
            msg = f"the message is no JSON, so it has no field {name!r}, which its FIFO queue needs"
            raise ConversionError(msg) from error
        return found if isinstance(found, dict) else {}


def _id_of(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        msg = f"the message has nothing in field {name!r}, which its FIFO queue needs"
        raise ConversionError(msg)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= ID_LENGTH and not UNFIT_FOR_IDS.search(text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()
