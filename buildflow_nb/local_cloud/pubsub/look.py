"""What waits in a subscription, told without a delivery: nothing of it changes by that.

Google's service has nothing like it, so it is a call of a service of our own: JSON both ways.
`{"subscription": NAME, "most": 20}` gives `waiting`, `out`, `oldest` (seconds since the epoch, or
null) and `messages`, oldest first, each with `id`, `published`, `attributes`, `key` and `data`,
which is in Base64.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import grpc

from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Context, Handler, refuse
from buildflow_nb.local_cloud.pubsub.message import Message
from buildflow_nb.local_cloud.pubsub.status import StatusError, invalid

__all__ = ("SERVICE", "Looks")

SERVICE = "buildflow.local.Looks"
MOST = 1_000  # messages of an answer
MOST_BYTES = 32 << 20  # of them; the first is given whatever its size


class Looks:
    """The one call of the service."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def handlers(self) -> dict[str, Handler]:
        """The call, for gRPC."""
        return {"Subscription": grpc.unary_unary_rpc_method_handler(self._answer)}

    async def _answer(self, request: bytes, context: Context) -> bytes:
        try:
            return json.dumps(self._told(request)).encode()
        except StatusError as error:
            await refuse(context, error)
            raise

    def _told(self, request: bytes) -> dict[str, Any]:
        try:
            words = json.loads(request)
            name, most = str(words["subscription"]), int(words["most"])
        except (ValueError, KeyError, TypeError) as error:
            message = f"not a request for a look: {error}"
            raise invalid(message) from error
        waiting, out, first = self._broker.subscription(name).first(max(1, min(most, MOST)))
        size = 0
        told: list[dict[str, Any]] = []
        for one in first[: max(0, most)]:
            size += one.size
            if told and size > MOST_BYTES:
                break
            told.append(_shown(one))
        oldest = first[0].published if first else None
        return {"waiting": waiting, "out": out, "oldest": oldest, "messages": told}


def _shown(message: Message) -> dict[str, Any]:
    raw = message.decode()
    return {
        "id": raw.message_id,
        "published": message.published,
        "attributes": dict(raw.attributes),
        "key": raw.ordering_key,
        "data": base64.b64encode(raw.data).decode(),
    }
