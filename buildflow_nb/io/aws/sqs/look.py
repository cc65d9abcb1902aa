"""A look into an SQS queue: how much waits, and what, without taking any of it.

SQS has no way to show messages but to receive them, and each receive counts: it raises a message's
receive count, of which a redrive policy allows so many before it moves the message to a dead-letter
queue (Amazon SQS Developer Guide, "Dead-letter queues"). So messages are shown

* on the local cloud by its emulator's own account of them, which no receive is part of;
* elsewhere only when asked to (`peek`), received with a visibility timeout of 0, by which they are
  there for everybody at once; and never where the queue has a redrive policy, since how often a
  message was received is not known before it is received once more.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_plus

import aiohttp
import msgspec

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.resource_look import Asked, Content, Figure, Held, ResourceLook
from buildflow_nb.io.aws.sqs.client import COUNTS, QueueClient
from buildflow_nb.io.looks import TAKES_NOTHING, message_content, rows_asked

__all__ = ("look_into_queue",)

MOST_SHOWN = 200  # messages; they may have 1 MB each
LOCAL_S = 3.0  # for the emulator's answer, which is here or is not
MOST_BYTES = 64 << 20  # of that answer
LOCAL_PATH = "/_buildflow/sqs/messages"
MS = 1_000
NOT_SHOWN = (
    "Messages are not shown: SQS shows them to receivers alone, and a receive counts. "
    "--peek receives {rows} and gives them back at once."
)
REDRIVEN = (
    "Messages are not shown: to SQS a look is a receive, of which the redrive policy allows {most} "
    "before it moves a message to {where}. Look at that queue, or at %buildflow failures."
)
PEEKED = (
    "They were received and given back at once: nothing is gone, and each one's receive count has "
    "risen by 1."
)


@dataclass(frozen=True, slots=True)
class _Queue:
    attributes: Mapping[str, str]
    url: str

    def number(self, name: str) -> int:
        return int(self.attributes.get(name, 0))

    @property
    def redrive(self) -> tuple[str, str] | None:
        """How many receives a redrive policy allows, and to which queue messages go then."""
        told = self.attributes.get("RedrivePolicy")
        if not told:
            return None
        policy = msgspec.json.decode(told, type=dict[str, Any])
        where = str(policy.get("deadLetterTargetArn", "")).rpartition(":")[2]
        return str(policy.get("maxReceiveCount", "?")), where or "its dead-letter queue"


async def look_into_queue(
    client: QueueClient, empty: ResourceLook, asked: Asked, endpoint: str | None
) -> ResourceLook:
    """Look, through the client of one queue; `endpoint` is SQS's where it is not Amazon's.

    Raises:
        TemporaryError: it is missing or out of reach.
        PermanentError: it refuses us.
    """
    queue = _Queue(*await client.attributes())
    waiting, hidden, delayed = (queue.number(name) for name in COUNTS)
    most = rows_asked(asked, MOST_SHOWN)
    content, oldest, notes = await _messages(client, queue, asked, most, endpoint)
    figures = [
        Figure("waiting", waiting, about="about"),
        Figure("in flight", hidden, about="about"),
    ]
    if delayed:
        figures.append(Figure("not due yet", delayed, about="about"))
    if oldest is not None:
        figures.append(Figure("oldest", max(0.0, time.time() - oldest), "s"))
    return replace(
        empty,
        name=client.name,
        place=queue.url,
        figures=tuple(figures),
        contents=() if content is None else (content,),
        notes=tuple(notes),
        held=Held("messages", waiting + hidden + delayed, "about"),
    )


async def _messages(
    client: QueueClient, queue: _Queue, asked: Asked, most: int, endpoint: str | None
) -> tuple[Content | None, float | None, list[str]]:
    """Messages, when the oldest was sent, and what to know about it."""
    if not most:
        return None, None, [TAKES_NOTHING]
    told = await _told_by_the_emulator(queue.url, most, endpoint) if endpoint else None
    if told is not None:
        rows, total, oldest = told
        said = f"{len(rows):,} of {total:,}, oldest first" if total > len(rows) else ""
        content = message_content([_opened(*_told(row)) for row in rows], said)
        return content, oldest, [TAKES_NOTHING]
    if queue.redrive is not None:
        times, where = queue.redrive
        return None, None, [REDRIVEN.format(most=times, where=where)]
    if not asked.peek:
        return None, None, [NOT_SHOWN.format(rows=most)]
    found = await client.peek(most)
    return message_content([_opened(*_received(one)) for one in found]), None, [PEEKED]


def _opened(known: dict[str, object], body: str) -> tuple[dict[str, object], str]:
    """A message, and one of S3's about a change of an object by what it says, not by its frame."""
    if not body.startswith('{"Records"'):
        return known, body
    try:
        (record,) = msgspec.json.decode(body)["Records"]
        found = {
            "event": record["eventName"],
            "bucket": record["s3"]["bucket"]["name"],
            "key": unquote_plus(record["s3"]["object"]["key"]),
            "size": record["s3"]["object"].get("size"),
        }
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        return known, body
    return known, msgspec.json.encode(found).decode()


def _received(message: Mapping[str, Any]) -> tuple[dict[str, object], str]:
    attributes = message.get("Attributes", {})
    known: dict[str, object] = {"sent": _clock(int(attributes.get("SentTimestamp", 0)) / MS)}
    if "MessageGroupId" in attributes:
        known["group"] = attributes["MessageGroupId"]
    known["receives"] = int(attributes.get("ApproximateReceiveCount", 0))
    return known, message["Body"]


def _told(row: Mapping[str, Any]) -> tuple[dict[str, object], str]:
    known: dict[str, object] = {"sent": _clock(float(row["sent"]))}
    if row["group"]:
        known["group"] = row["group"]
    known["receives"] = row["receives"]
    if not row["visible"]:
        known["in flight"] = "yes"
    return known, row["body"]


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


async def _told_by_the_emulator(
    url: str, most: int, endpoint: str
) -> tuple[list[dict[str, Any]], int, float | None] | None:
    """The first messages, how many there are, and when the oldest was sent.

    None where it is no emulator of ours: another one knows no such request.
    """
    where = f"{endpoint.rstrip('/')}{LOCAL_PATH}"
    timeout = aiohttp.ClientTimeout(total=LOCAL_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(where, params={"QueueUrl": url, "most": str(most)}) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004  (HTTP's OK)
                return None
            body = await answer.content.read(MOST_BYTES)
        found = msgspec.json.decode(body, type=dict[str, Any])
        return found["messages"], int(found["count"]), found["oldest"]
    except (aiohttp.ClientError, msgspec.DecodeError, KeyError, TypeError):
        return None
    except TimeoutError as error:
        msg = f"the local cloud's SQS does not answer within {LOCAL_S:g} s"
        raise TemporaryError(msg) from error
