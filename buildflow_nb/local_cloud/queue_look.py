"""What is in a queue of the emulator, told without a receive: nothing of it changes by that.

It reads what ministack keeps of a queue: a dict with `messages`, each a dict with `id`, `body`,
`sent_at`, `visible_at`, `receive_count` and `group_id`, as ministack's own
`/_ministack/sqs/messages` does, which would give all of them at once.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ("PATH", "answer", "messages_of")

PATH = "/_buildflow/sqs/messages"
MOST = 1_000  # messages of an answer
MOST_BYTES = 32 << 20  # of their bodies; the first is given whatever its size
OK, NOT_FOUND = 200, 404


def messages_of(queues: Mapping[Any, Any], url: str, most: int) -> dict[str, Any] | None:
    """The first messages of the queue with this URL, how many there are, and the oldest's time."""
    parts = urlsplit(url).path.strip("/").split("/")
    for key, queue in queues.items():
        if not isinstance(queue, dict) or queue.get("name") != parts[-1]:
            continue
        if len(parts) > 1 and isinstance(key, tuple) and parts[-2] not in key:
            continue
        return _told(list(queue.get("messages") or ()), most)
    return None


def _told(messages: list[dict[str, Any]], most: int) -> dict[str, Any]:
    now, size = time.time(), 0
    shown: list[dict[str, Any]] = []
    for one in messages[: min(most, MOST)]:
        size += len(one.get("body") or "")
        if shown and size > MOST_BYTES:
            break
        shown.append(
            {
                "id": one.get("id"),
                "body": one.get("body") or "",
                "sent": one.get("sent_at") or 0,
                "visible": (one.get("visible_at") or 0) <= now,
                "receives": one.get("receive_count") or 0,
                "group": one.get("group_id"),
            }
        )
    oldest = min((one.get("sent_at") or now for one in messages), default=None)
    return {"messages": shown, "count": len(messages), "oldest": oldest}


async def answer(
    scope: MutableMapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer a request for `PATH?QueueUrl=…&most=…`, as ASGI has it."""
    words = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    url, most = words.get("QueueUrl", [""])[0], words.get("most", ["20"])[0]
    sqs: Any = importlib.import_module("ministack.services.sqs")  # it has no types
    queues = dict(sqs._queues.to_dict())  # noqa: SLF001  (as its own handler does)
    found = messages_of(queues, url, int(most) if most.isdigit() else 0)
    body = b"" if found is None else json.dumps(found).encode()
    headers = [(b"content-type", b"application/json")]
    status = NOT_FOUND if found is None else OK
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
