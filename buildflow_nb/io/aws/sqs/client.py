"""Calls to one SQS queue, batch entry by batch entry.

The queue is looked up by name with the first call, and again after a call that found it missing or
unreachable, so a queue that is made later, or an emulator that comes back elsewhere, is found
without a restart. A client belongs to the loop of its first call.

Limits: Amazon SQS Developer Guide, "Message quotas"; batches: API Reference, "SendMessageBatch".
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from buildflow_nb.core.errors import BuildFlowError, ConversionError, TemporaryError
from buildflow_nb.core.trace_context import TRACEPARENT, TRACESTATE, TraceContext, read
from buildflow_nb.io.aws.clients import Access
from buildflow_nb.io.aws.errors import THROTTLED, Target
from buildflow_nb.io.checks import on_thread
from buildflow_nb.io.partial_push import Failures

if TYPE_CHECKING:
    from buildflow_nb.io.aws.sqs.connection import Connection

__all__ = (
    "BATCH",
    "LONG_POLL_S",
    "SHORT_POLL_S",
    "Counts",
    "Message",
    "QueueClient",
    "RefusedError",
    "in_tens",
)

T = TypeVar("T")

BATCH = 10  # entries of a batch call, at most
LONG_POLL_S = 20  # the most that AWS takes; polling without a wait spins and costs money
SHORT_POLL_S = 1  # the least with which SQS asks all of its servers, so that "none" means none
LEASE_S = 30  # for a queue whose visibility timeout is 0, which would deliver for ever
TIMES = "ApproximateReceiveCount"
_ATTRIBUTES = "sqs:GetQueueAttributes"
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
FIFO = ".fifo"  # the end of the name of every FIFO queue, and of no other


class Message(NamedTuple):
    """A message that was received; `times` counts how often it was, as SQS estimates it.

    `context` is the trace that it belongs to, where its sender says so.
    """

    id: str
    handle: str
    body: str
    times: int = 1
    context: TraceContext | None = None


class Counts(NamedTuple):
    """Messages of a queue, roughly: that wait, that somebody has received, that are not due yet."""

    visible: int
    hidden: int
    delayed: int


class RefusedError(ConversionError):
    """SQS refuses one entry of a batch for good, because of what is in it."""


@dataclass(frozen=True, slots=True)
class _Facts:
    url: str
    lease_s: int
    max_bytes: int


class QueueClient:
    """A queue by name; `find` says, blocking, how SQS is reached.

    `account` owns the queue where it is another than one's own.
    """

    def __init__(self, find: Callable[[], Access], target: Target, account: str | None) -> None:
        self._find = find
        self._target = target
        self._owner = {"QueueOwnerAWSAccountId": account} if account else {}
        self._connection: Connection | None = None
        self._found: _Facts | None = None
        self._looking: asyncio.Task[_Facts] | None = None
        self.fifo = target.name.endswith(FIFO)

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._target.name

    async def lease_s(self) -> int:
        """Seconds for which a received message is hidden from others. Raises as `receive`."""
        return (await self._facts()).lease_s

    async def max_bytes(self) -> int:
        """The size of a message's body in UTF-8, at most. Raises as `receive`."""
        return (await self._facts()).max_bytes

    async def receive(self, wait_s: int) -> list[Message]:
        """Wait so many seconds (1 to 20) for up to ten messages; none is an answer too.

        Raises:
            TemporaryError: the queue is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        facts = await self._facts()
        # A FIFO queue that is asked again with the same id, since the answer was lost, gives the
        # same messages again instead of locking their groups until the lease ends.
        attempt = {"ReceiveRequestAttemptId": uuid.uuid4().hex} if self.fifo else {}
        reply = await self._call(
            "ReceiveMessage",
            "sqs:ReceiveMessage",
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=min(wait_s, LONG_POLL_S),
            VisibilityTimeout=facts.lease_s,
            AttributeNames=[TIMES],  # by its older name, which every emulator knows
            MessageAttributeNames=[TRACEPARENT, TRACESTATE],
            **attempt,
        )
        return [
            Message(m["MessageId"], m["ReceiptHandle"], m["Body"], _times(m), _context(m))
            for m in reply.get("Messages") or ()
        ]

    async def delete(self, handles: Sequence[str]) -> Failures:
        """Delete up to ten received messages; gives what failed."""
        entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(handles)]
        return await self._batch("DeleteMessageBatch", "sqs:DeleteMessage", entries)

    async def change_visibility(self, handles: Mapping[str, int]) -> Failures:
        """Hide up to ten received messages, each for so many seconds from now; gives what failed.

        0 shows a message at once.
        """
        entries = [
            {"Id": str(i), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for i, (handle, seconds) in enumerate(handles.items())
        ]
        action = "sqs:ChangeMessageVisibility"
        return await self._batch("ChangeMessageVisibilityBatch", action, entries)

    async def send(self, entries: Sequence[Mapping[str, Any]]) -> Failures:
        """Send up to ten messages, given as SendMessageBatch has them but for `Id`."""
        numbered = [{"Id": str(i), **entry} for i, entry in enumerate(entries)]
        return await self._batch("SendMessageBatch", "sqs:SendMessage", numbered)

    async def load(self) -> None:
        """Find out how SQS is reached. Raises as `receive`."""
        with self._target.faults("sqs:GetQueueUrl"):
            await self._connected()

    async def count(self) -> Counts:
        """How many messages there are."""
        reply = await self._call("GetQueueAttributes", _ATTRIBUTES, AttributeNames=list(COUNTS))
        return Counts(*(int(reply["Attributes"].get(name, 0)) for name in COUNTS))

    async def attributes(self) -> tuple[Mapping[str, str], str]:
        """All that SQS tells of the queue, and its URL. Raises as `receive`."""
        reply = await self._call("GetQueueAttributes", _ATTRIBUTES, AttributeNames=["All"])
        return reply["Attributes"], (await self._facts()).url

    async def peek(self, most: int) -> list[Mapping[str, Any]]:
        """Up to so many messages, each once, received and visible again at once. Raises as it.

        Each one's receive count rises by 1: it is for queues without a redrive policy alone.
        """
        found: dict[str, Mapping[str, Any]] = {}
        for _ in range(2 * -(-most // BATCH)):  # SQS may give the same again
            reply = await self._call(
                "ReceiveMessage",
                "sqs:ReceiveMessage",
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=0,
                VisibilityTimeout=0,
                AttributeNames=[TIMES, "SentTimestamp", "MessageGroupId"],
            )
            got = {m["MessageId"]: m for m in reply.get("Messages") or ()}
            if len(found) >= most or not got.keys() - found.keys():
                break
            found.update(got)
        return list(found.values())[:most]

    async def purge(self) -> None:
        """Delete all messages; SQS takes up to a minute for it. Raises as `receive`."""
        await self._call("PurgeQueue", "sqs:PurgeQueue")

    async def close(self) -> None:
        """Close the connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))
        if self._connection is not None:
            await self._connection.close()

    async def _batch(self, operation: str, action: str, entries: list[dict[str, Any]]) -> Failures:
        reply = await self._call(operation, action, Entries=entries)
        return {int(entry["Id"]): _failure(entry) for entry in reply.get("Failed") or ()}

    async def _call(self, operation: str, action: str, **words: Any) -> Any:
        facts = await self._facts()
        try:
            with self._target.faults(action):
                connection = await self._connected()
                return await connection.call(operation, {"QueueUrl": facts.url, **words})
        except BuildFlowError:
            self._found = None  # it may be another queue when it is there again
            raise

    async def _connected(self) -> Connection:
        if self._connection is None:
            make = await on_thread(self._prepared)
            if self._connection is None:  # else another call was faster
                self._connection = make()
        return self._connection

    def _prepared(self) -> Callable[[], Connection]:
        """What makes a connection in a loop; loads what that takes, and finds out where to."""
        from buildflow_nb.io.aws.sqs.connection import Connection

        return partial(Connection, self._find())

    async def _facts(self) -> _Facts:
        """What the queue is; calls at the same time look it up once."""
        if self._found is not None:
            return self._found
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look_up())
            self._looking.add_done_callback(_fetched)
        self._found = await asyncio.shield(self._looking)
        return self._found

    async def _look_up(self) -> _Facts:
        wanted = ["VisibilityTimeout", "MaximumMessageSize"]
        with self._target.faults("sqs:GetQueueUrl"):
            connection = await self._connected()
            reply = await connection.call("GetQueueUrl", {"QueueName": self.name, **self._owner})
            url = reply["QueueUrl"]
        with self._target.faults(_ATTRIBUTES):
            words = {"QueueUrl": url, "AttributeNames": wanted}
            reply = await connection.call("GetQueueAttributes", words)
        lease_s, max_bytes = (int(reply["Attributes"][name]) for name in wanted)
        return _Facts(url, lease_s or LEASE_S, max_bytes)


def _fetched(task: asyncio.Task[Any]) -> None:
    """Let asyncio not report as forgotten what nobody waits for any more."""
    with suppress(asyncio.CancelledError):
        task.exception()


def _times(message: Mapping[str, Any]) -> int:
    return int(message.get("Attributes", {}).get(TIMES, 1))


def _context(message: Mapping[str, Any]) -> TraceContext | None:
    attributes = message.get("MessageAttributes")
    if not attributes:
        return None
    return read({name: each.get("StringValue") for name, each in attributes.items()})


def _failure(entry: Mapping[str, Any]) -> Exception:
    code = str(entry.get("Code", ""))
    said = f"{code}: {entry.get('Message', '')}".rstrip(": ")
    if entry.get("SenderFault") and code not in THROTTLED:
        return RefusedError(f"SQS refuses it ({said})")
    return TemporaryError(f"SQS cannot take it for now ({said})")


def in_tens(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in pieces that a batch call takes."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
