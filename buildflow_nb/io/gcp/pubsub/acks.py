"""Tells Pub/Sub what becomes of received messages, many in one call.

Without exactly-once delivery Pub/Sub takes every id, also one that is too old. With it a call may
fail for some ids, which the error names in an `ErrorInfo`; what it does not name is done (Pub/Sub
documentation, "Exactly-once delivery", section "Acknowledge with client libraries").
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from buildflow_nb.core.errors import BuildFlowError, TemporaryError
from buildflow_nb.io.gcp.pubsub.client import Pb, PubSubClient, messages

if TYPE_CHECKING:
    from grpc.aio import AioRpcError

__all__ = ("Acks", "Told")

REQUEST_BYTES = 400_000  # of ids in a call; Pub/Sub takes 512 KiB of everything
MOST_IDS = 2_500  # in a call, as Google's clients have it
ID_BYTES = 4  # that protobuf adds to an id, at most
CALL_S = 15.0
DETAILS = "grpc-status-details-bin"
PASSING = "TRANSIENT_FAILURE_"


@dataclass(frozen=True, slots=True)
class Told:
    """How it went: ids that may be told `again`, with why, and ids that are `gone` for good."""

    again: Mapping[str, BuildFlowError] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


class Acks:
    """The acknowledgements of one subscription."""

    def __init__(self, client: PubSubClient) -> None:
        self._client = client

    async def acknowledge(self, ack_ids: Sequence[str]) -> Told:
        """Have messages forgotten."""
        kind = messages().AcknowledgeRequest
        name = self._client.name
        return await self._all(
            "Subscriber/Acknowledge",
            [kind(subscription=name, ack_ids=piece) for piece in _pieces(ack_ids)],
        )

    async def lease(self, ack_ids: Sequence[str], seconds: int) -> Told:
        """Keep messages from others for so long from now; 0 has them delivered again at once."""
        kind = messages().ModifyAckDeadlineRequest
        words = {"subscription": self._client.name, "ack_deadline_seconds": seconds}
        return await self._all(
            "Subscriber/ModifyAckDeadline",
            [kind(ack_ids=piece, **words) for piece in _pieces(ack_ids)],
        )

    async def _all(self, method: str, requests: Sequence[Pb]) -> Told:
        answers = await asyncio.gather(*(self._one(method, request) for request in requests))
        again = {ack_id: error for told in answers for ack_id, error in told.again.items()}
        return Told(again, frozenset().union(*(told.gone for told in answers)))

    async def _one(self, method: str, request: Pb) -> Told:
        from grpc.aio import AioRpcError

        try:
            await self._client.call(method, request, messages().Empty, CALL_S)
        except AioRpcError as error:
            return self._refused(error, request.ack_ids)
        except BuildFlowError as error:
            return Told(dict.fromkeys(request.ack_ids, error))
        return Told()

    def _refused(self, error: AioRpcError, ack_ids: Sequence[str]) -> Told:
        named = _named(error)
        fault = self._client.refused(error)
        if not named:
            return Told(dict.fromkeys(ack_ids, fault))
        passing = TemporaryError(f"{self._client.target} cannot answer for now ({error.details()})")
        again = {i: passing for i, why in named.items() if why.startswith(PASSING)}
        return Told(again, frozenset(named.keys() - again.keys()))


def _named(error: AioRpcError) -> dict[str, str]:
    """What an error says of single ids."""
    from google.rpc import error_details_pb2, status_pb2

    found: dict[str, str] = {}
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    found.update(info.metadata)
    return {ack_id: why for ack_id, why in found.items() if "_FAILURE_" in why}


def _pieces(ack_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in pieces that a call takes; they are all about as long."""
    longest = max(map(len, ack_ids), default=0) + ID_BYTES
    size = max(1, min(MOST_IDS, REQUEST_BYTES // longest))
    return (ack_ids[start : start + size] for start in range(0, len(ack_ids), size))
