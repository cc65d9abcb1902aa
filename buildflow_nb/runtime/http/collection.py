"""What a collector does with a result: to the sink with it, and only then an answer.

The answer says what became of the elements: stored, refused by the sink for what they are, or not
written because the sink cannot be written for now, in which case sending again may help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import cast

from aiohttp import web

from buildflow_nb.core.encode import compile_encoder
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.flow_spec import CollectorSpec
from buildflow_nb.runtime.http.answer import FAILED, error_answer, json_answer
from buildflow_nb.runtime.http.delivery import PUSH_S, Delivery
from buildflow_nb.runtime.http.fault import HttpFault
from buildflow_nb.runtime.kept import Fault
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.push import TEMPORARY, Faults
from buildflow_nb.runtime.traces import describe

__all__ = ("Call", "Collection", "flatten")

Form = Callable[[Sequence[object]], Sequence[object]]
SUCCESS = b'{"success":true}'


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what to show of it, and its arguments by name where they can be used again."""

    element: object
    by_name: Mapping[str, object] | None


class Collection:
    """Stores results; `record` is told of elements that failed for good."""

    def __init__(
        self,
        spec: CollectorSpec,
        delivery: Delivery,
        ledger: Ledger,
        record: Callable[[list[Fault]], Awaitable[None]],
    ) -> None:
        self._owner = f"{spec.kind} {spec.id!r}"
        self._origin = f"{spec.method} {spec.route}"
        self._tries = spec.options.retries + 1
        self._delivery = delivery
        self._ledger = ledger
        self._record = record
        self._encode: Form = _nowhere
        if spec.sink is not None:
            self._encode = compile_encoder(spec.output_type, spec.sink.sink_wire, self._owner)
        self._late: set[asyncio.Task[None]] = set()

    async def keep(self, result: object) -> tuple[list[object], Faults]:
        """Push what a retried call gave; the elements, and by position what failed.

        Raises:
            HttpFault: the sink is not open.
            ConversionError: as for `store`.
            TimeoutError: the sink takes too long; they may still be written.
        """
        elements = self._elements(result)
        pushed = await self._delivery.push(self._encode(elements) if elements else ())
        if not pushed.done():
            await asyncio.wait({pushed}, timeout=PUSH_S)
        if not pushed.done():
            msg = f"the sink did not take it within {PUSH_S:g} s; it may still be written"
            raise TimeoutError(msg)
        return elements, pushed.result()

    def _elements(self, result: object) -> list[object]:
        if isinstance(result, web.StreamResponse):
            msg = f"{self._owner} returned a response, which no sink can store; use an endpoint"
            raise ConversionError(msg)
        return flatten(result)

    async def store(self, call: Call, result: object, seconds: float) -> web.StreamResponse:
        """Push what the function made of `call` in `seconds`; the answer for the client.

        Raises:
            HttpFault: it is not stored.
            ConversionError: it has another type than declared, or no form that can be stored.
        """
        elements = self._elements(result)
        pushed = await self._delivery.push(self._encode(elements) if elements else ())
        if not pushed.done():
            await asyncio.wait({pushed}, timeout=PUSH_S)
        if not pushed.done():
            self._leave(call, elements, pushed, seconds)
            msg = "the sink takes too long; the element is queued and may still be written"
            raise HttpFault(503, msg, {"Retry-After": "5"})
        faults = pushed.result()
        self._count(call, elements, faults, seconds)
        if not faults:
            return json_answer(SUCCESS)
        await self._record(self._faults(call, faults))
        return _refusal(faults)

    def _count(self, call: Call, elements: list[object], faults: Faults, seconds: float) -> None:
        ledger = self._ledger
        if not faults:  # others are recorded with their error
            ledger.record(call.element, elements)
        ledger.passed((call.element,), (tuple(elements),), seconds)
        ledger.metrics.given.add(len(elements) - len(faults), ledger.clock.now())
        ledger.metrics.dropped += not elements

    def _faults(self, call: Call, faults: Faults) -> list[Fault]:
        return [
            Fault(call.element, error, self._tries, self._origin, call.by_name)
            for error in faults.values()
        ]

    def _leave(
        self,
        call: Call,
        elements: list[object],
        pushed: asyncio.Future[Faults],
        seconds: float,
    ) -> None:
        """Keep the books of a push that outlasts its request."""

        async def settle() -> None:
            faults = await pushed
            self._count(call, elements, faults, seconds)
            if faults:
                await self._record(self._faults(call, faults))

        late = asyncio.create_task(settle())
        self._late.add(late)
        late.add_done_callback(self._late.discard)


def flatten(result: object) -> list[object]:
    """A collector's result as elements: None is none; a list or tuple is many."""
    kind = type(result)
    if kind is NoneType:
        return []
    if kind in (list, tuple):
        return [item for item in cast("list[object]", result) if item is not None]
    return [result]


def _nowhere(_elements: Sequence[object]) -> Sequence[object]:
    return ()


def _refusal(faults: Faults) -> web.StreamResponse:
    """The answer for elements that are not in the sink."""
    errors = list(faults.values())
    for error in errors:
        if isinstance(error, HttpFault):
            raise error
        if isinstance(error, (*TEMPORARY, asyncio.CancelledError)):
            msg = f"the sink cannot be written for now: {describe(error)}"
            raise HttpFault(503, msg, {"Retry-After": "1"}) from error
    if all(isinstance(error, ConversionError) for error in errors):
        raise HttpFault(422, f"the sink refuses the element: {errors[0]}") from errors[0]
    return error_answer(500, FAILED)
