"""What tests have another process do."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.error import HTTPError

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.declaring.hooks import Hooks
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.replicas.messages import Asked, LookRequest, Opening
from buildflow_nb.runtime.replicas.work import Work
from tests.fakes import PATIENCE_S, FakeClock, supply

_kept: dict[str, Any] = {}


def keep(**things: Any) -> None:
    """Keep things over there under their names."""
    _kept.update(things)


def reader(name: str) -> Callable[[], Any]:
    """What gives the thing that was kept: made here, it reads what is kept over there."""
    return lambda: _kept[name]


class Again:
    """Calls what was kept; an instance is no code, so what it is sent with are values alone."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        return _kept[self.name](*args)


def consume(spec: ConsumerSpec) -> list[Any]:
    """What comes out of a consumer whose source and sink are fakes."""

    async def main() -> None:
        clock = FakeClock()
        ledger = Ledger(spec.id, clock)
        consumer = Consumer(spec, supply(ledger), ledger)
        await consumer.start()
        await clock.until(lambda: ledger.state.ended)
        for failure in ledger.failures:
            raise failure.exception or RuntimeError(failure.error)

    asyncio.run(main())
    sink: Any = spec.sink
    return sink.tape.pushed


def consumed(spec: ConsumerSpec, env: Env) -> int:
    """How many elements a consumer gives whose source ends, in a replica of this process."""
    loop, work = loop_thread(), Work()

    async def main() -> int:
        await work.open(Opening("flow", "run", env))
        await work.start(spec)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                look = await work.look(LookRequest(0, {spec.id: Asked()}))
                shot = look.units[spec.id].shot
                if shot.state.ended:
                    assert shot.state is State.DONE, shot.reason
                    return shot.elements_out
                await asyncio.sleep(0.01)

    try:
        return loop.run(main(), PATIENCE_S)
    finally:
        loop.run(work.close(5.0), PATIENCE_S)


Question = tuple[str, Mapping[str, str]]
Answered = tuple[int, Mapping[str, str], str]


def served(
    specs: Sequence[ProcessorSpec], hooks: Hooks, env: Env, asked: Sequence[Question]
) -> list[Answered]:
    """What routes answer in a replica of this process: status, headers and body."""
    loop, work = loop_thread(), Work()

    async def up() -> str:
        await work.open(Opening("flow", "run", env, serves=True, hooks=hooks))
        for spec in specs:
            await work.start(spec)
        return await work.listen()

    try:
        address = loop.run(up(), PATIENCE_S)
        return [_answer(address + path, headers) for path, headers in asked]
    finally:
        loop.run(work.close(5.0), PATIENCE_S)


class _Stays(urllib.request.HTTPRedirectHandler):
    """Goes nowhere: what is asked is what answers."""

    def redirect_request(self, *_: object) -> None:
        return None


def _answer(url: str, headers: Mapping[str, str]) -> Answered:
    try:
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310  (loopback)
        reply = urllib.request.build_opener(_Stays).open(request, timeout=PATIENCE_S)
    except HTTPError as error:
        reply = error
    with reply:
        names = {name.lower(): value for name, value in reply.headers.items()}
        return reply.status, names, reply.read().decode(errors="replace")
