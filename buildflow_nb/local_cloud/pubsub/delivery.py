"""What is handed out in one answer, and its form on the wire.

`PullResponse` and `StreamingPullResponse` both list `ReceivedMessage`s in their field 1, so the
same bytes serve both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from buildflow_nb.local_cloud.pubsub.lease import ACK_ID_BYTES
from buildflow_nb.local_cloud.pubsub.message import Message, tag, varint

__all__ = ("Delivery",)

_RECEIVED_MESSAGE = tag(1)  # PullResponse.received_messages
_ACK_ID = tag(1) + varint(ACK_ID_BYTES)  # ReceivedMessage.ack_id, whose length never varies
_ATTEMPT = tag(3, 0)  # ReceivedMessage.delivery_attempt, a varint


@lru_cache(maxsize=8192)  # sizes repeat: a stream's messages are mostly alike
def _head(size: int) -> bytes:
    return _RECEIVED_MESSAGE + varint(size + len(_ACK_ID) + ACK_ID_BYTES) + _ACK_ID


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages with their ack ids; `attempts` counts deliveries where a dead letter policy asks."""

    ack_ids: Sequence[str] = ()
    messages: Sequence[Message] = ()
    attempts: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.messages)

    def encode(self) -> bytes:
        """Give the messages as the first field of a response."""
        if self.attempts is not None:
            return self._encode_with_attempts(self.attempts)
        parts: list[bytes] = []
        for ack_id, message in zip(self.ack_ids, self.messages, strict=True):
            parts += (_head(message.size), ack_id.encode(), message.framed)
        return b"".join(parts)

    def _encode_with_attempts(self, attempts: Sequence[int]) -> bytes:
        parts: list[bytes] = []
        for ack_id, message, attempt in zip(self.ack_ids, self.messages, attempts, strict=True):
            tail = _ATTEMPT + varint(attempt)
            head = _head(message.size + len(tail))
            parts += (head, ack_id.encode(), message.framed, tail)
        return b"".join(parts)
