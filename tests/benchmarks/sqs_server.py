"""An SQS server that is not the bottleneck: canned messages after a fixed time, over HTTP/1.1.

Run as a process of its own: `python -m tests.benchmarks.sqs_server LATENCY_MS`; it prints its port.
It hands out as many messages as it is told (POST /refill, the count as body) and then none, and
says how many of them were deleted (GET /deleted).
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

EMPTY_POLL_S = 0.2
EMPTY = b"{}"
MESSAGE = json.dumps(
    {
        "id": 7,
        "name": "a customer's name",
        "amount": 12.5,
        "paid": True,
        "at": "2026-01-31T12:00:00+00:00",
        "address": {"street": "1 Main Street", "town": "Springfield"},
    }
)


# One message of a reply; every delivery has a handle of its own.
_TEMPLATE = (
    b'{"MessageId": "%036d", "ReceiptHandle": "%0180d", "Body": '
    + json.dumps(MESSAGE).replace("%", "%%").encode()
    + b"}"
)


@dataclass
class Shop:
    """How many messages are left, and what every call but a receive is answered."""

    left: int = 0
    deleted: int = 0
    delivered: int = 0

    def receive(self) -> bytes:
        count = min(10, self.left)
        self.left -= count
        if not count:
            return EMPTY
        first = self.delivered
        self.delivered += count
        messages = b",".join(_TEMPLATE % (i, i) for i in range(first, first + count))
        return b'{"Messages": [' + messages + b"]}"

    def answer(self, target: bytes, body: bytes) -> bytes:
        if target == b"ReceiveMessage":
            return self.receive()
        if target == b"DeleteMessageBatch":
            entries = json.loads(body)["Entries"]
            self.deleted += len(entries)
            return json.dumps({"Successful": [{"Id": e["Id"]} for e in entries]}).encode()
        if target == b"GetQueueUrl":
            return b'{"QueueUrl": "http://127.0.0.1/000000000000/bench"}'
        if target == b"GetQueueAttributes":
            attributes = {
                "VisibilityTimeout": "30",
                "MaximumMessageSize": "1048576",
                "ApproximateNumberOfMessages": str(self.left),
            }
            return json.dumps({"Attributes": attributes}).encode()
        return EMPTY

    async def reply(self, head: bytes, body: bytes, latency_s: float) -> bytes:
        """The answer to a request, when it is due."""
        if head.startswith(b"POST /refill"):
            self.left, self.deleted = int(body), 0
            return EMPTY
        if head.startswith(b"GET /deleted"):
            return b"%d" % self.deleted
        target = _fields(head)[b"x-amz-target"].rpartition(b".")[2]
        found = self.answer(target, body)
        # An empty queue makes the caller of a long poll wait, if not for 20 s.
        await asyncio.sleep(EMPTY_POLL_S if found is EMPTY else latency_s)
        return found


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b": ") for line in head.split(b"\r\n"))
    return {name.lower(): value for name, _, value in lines}


async def serve(latency_s: float) -> None:
    """Answer until the parent, which holds the other end of stdin, is gone."""
    shop = Shop()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(_fields(head).get(b"content-length", b"0")))
                reply = await shop.reply(head, body, latency_s)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
                    b"x-amzn-RequestId: 0\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply
                )
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))
