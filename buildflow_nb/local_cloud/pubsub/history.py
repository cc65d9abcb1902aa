"""What a topic retains of its messages, acknowledged or not, so that they can be replayed.

Nothing is retained unless somebody may ask for it: the topic has a retention of its own, a
subscription retains acknowledged messages, or a snapshot exists (Pub/Sub documentation, "Replay
and purge messages with seek"). It is bounded in bytes; the oldest go first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from buildflow_nb.local_cloud.pubsub.message import Message

__all__ = ("History",)


class History:
    """Messages of a topic, oldest first; `keep_s` is for how many seconds, 0 for not at all."""

    def __init__(self, max_bytes: int) -> None:
        self.keep_s = 0.0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._messages: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)

    def add(self, messages: Sequence[Message]) -> None:
        """Retain messages that are newer than all others, if there is somebody to retain for."""
        if not self.keep_s:
            return
        self._messages.extend(messages)
        self._bytes += sum(message.size for message in messages)
        while self._bytes > self._max_bytes:
            self._drop()

    def restore(self, messages: Sequence[Message]) -> None:
        """Retain messages of an earlier life, oldest first."""
        self._messages = deque(messages)
        self._bytes = sum(message.size for message in messages)

    def trim(self, wall: float) -> None:
        """Forget what is older than `keep_s`, at this time since the epoch."""
        while self._messages and self._messages[0].published <= wall - self.keep_s:
            self._drop()

    def _drop(self) -> None:
        self._bytes -= self._messages.popleft().size
