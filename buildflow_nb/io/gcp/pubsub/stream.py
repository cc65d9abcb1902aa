"""One streaming pull of a subscription.

Pub/Sub writes messages as they come, as long as fewer than `max_outstanding` of them are neither
acknowledged nor given back. It ends every stream after some time, as it pleases (RPC reference,
"StreamingPull"), so one that ends after it has worked is opened again and nobody hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.io.gcp.pubsub.client import Pb, PubSubClient, messages

__all__ = ("FlowControl", "Stream")

STEADY_S = 2.0  # a stream that ends sooner has failed
BEAT_S = 25.0  # between empty requests, which keep a quiet stream open
LAST_S = 0.3  # for what is on its way when a stream is told to end

Receive = Callable[[Pb], None]


@dataclass(frozen=True, slots=True)
class FlowControl:
    """How a stream is opened: seconds of a lease, and what may be unsettled at once."""

    lease_s: int
    most_messages: int
    most_bytes: int
    client_id: str  # the same for a stream that is opened again, so that order is kept


class Stream:
    """Gives what comes to `receive`, and why it has failed to `failed`."""

    def __init__(
        self,
        client: PubSubClient,
        flow: FlowControl,
        receive: Receive,
        failed: Callable[[Exception], None],
    ) -> None:
        self._client = client
        self._flow = flow
        self._receive = receive
        self._failed = failed
        self._call: Pb = None  # grpc.aio.StreamStreamCall
        self._closing = False
        self._task = asyncio.create_task(self._run())

    @property
    def over(self) -> bool:
        """Whether nothing comes any more."""
        return self._task.done()

    async def close(self) -> None:
        """End it; what Pub/Sub has sent until then is received."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                if self._call is not None:
                    await self._client.write(self._call, None)
                await asyncio.wait((self._task,))
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        steady = True
        while steady and not self._closing:
            began = loop.time()
            fault: Exception = TemporaryError(f"{self._client.target} ended the stream at once")
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001  (raised by the pull that waits)
                fault = self._client.refused(error)
            steady = loop.time() - began >= STEADY_S
        if not self._closing:
            self._failed(fault)

    async def _read(self) -> None:
        from grpc.aio import EOF

        await self._client.open()
        flow, kinds = self._flow, messages()
        request = kinds.StreamingPullRequest(
            subscription=self._client.name,
            stream_ack_deadline_seconds=flow.lease_s,
            client_id=flow.client_id,
            max_outstanding_messages=flow.most_messages,
            max_outstanding_bytes=flow.most_bytes,
        )
        call = await self._client.stream(
            "Subscriber/StreamingPull", request, kinds.StreamingPullResponse
        )
        self._call = call
        beat = asyncio.create_task(self._beat(call))
        try:
            while (answer := await self._client.read(call)) is not EOF:
                self._receive(answer)
        finally:
            beat.cancel()
            call.cancel()

    async def _beat(self, call: Pb) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._client.write(call, messages().StreamingPullRequest())
