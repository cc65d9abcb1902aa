"""One version of a consumer's code at work: decode, call, flatten and encode a chunk of elements.

This is the hot path. Everything that can be decided once is decided when the code is compiled; a
chunk is then decoded, called and encoded list by list, and an element costs one call and one
append. Only when a list fails is it taken apart, to find the elements at fault.

Guarantees: results keep the order of elements; an element that fails, in whatever way (a wrong
type, an exception, `sys.exit()`), fails alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Token
from dataclasses import dataclass, field
from itertools import islice
from types import GeneratorType, NoneType
from typing import Any, cast

from buildflow_nb.core.conversion.decode import Decoder, compile_decoder
from buildflow_nb.core.conversion.encode import Encoder, compile_encoder
from buildflow_nb.core.conversion.secret_fields import secrets_of
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.concurrency.calls import being_cancelled, call_hook, flatten, listed
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.consumer.outcome import FAULTY, NOT_TRACED, ChunkOutcome
from buildflow_nb.runtime.injection import Injector, settle_all, settle_all_async
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.call_notes import CallNotes
from buildflow_nb.runtime.observability.hidden import remembering
from buildflow_nb.runtime.observability.redaction import unwrapped
from buildflow_nb.runtime.observability.visits import Visit

__all__ = ("Code", "compile_code")


_Token = Token[logs.LogRing | None] | None
_FLATTENED = frozenset({NoneType, list, tuple, GeneratorType})


@dataclass(slots=True)
class Code:
    """Compiled code of one replica."""

    spec: ConsumerSpec
    decoder: Decoder
    encode: Encoder
    injector: Injector | None = None
    instance: object | None = None
    call: Callable[[Any], Any] = field(init=False)
    secrets: Callable[[Sequence[object]], list[object]] | None = field(init=False)
    made_secrets: Callable[[Any], list[object]] | None = field(init=False)

    def __post_init__(self) -> None:
        self._bind()
        self.secrets = remembering(self.spec.input_type)
        self.made_secrets = secrets_of(self.spec.output_type)

    @property
    def many(self) -> bool:
        """Whether a call gives an iterator; with dependencies of its own it gives a list."""
        own = self.injector is not None and self.injector.per_call
        return self.spec.processor.many and not own

    @property
    def is_async(self) -> bool:
        """Whether elements are called on the loop instead of a worker."""
        return self.spec.processor.is_async

    async def set_up(self, worker: WorkerThread) -> None:
        """Make the instance of a class and call its `setup`; sync code runs on the worker.

        Raises:
            Exception: whatever the user's code raised.
        """
        processor = self.spec.processor
        if self.injector is not None:
            await self.injector.set_up()
        if processor.is_class:
            self.instance = await worker.submit(processor.instance)
            await self._hook("setup", worker)
        self._bind()

    async def tear_down(self, worker: WorkerThread) -> None:
        """Call `teardown`, if there is one; let go of the dependencies."""
        try:
            await self._hook("teardown", worker)
        finally:
            if self.injector is not None:
                await self.injector.tear_down()

    def _bind(self) -> None:
        call = self.spec.processor.call(self.instance)
        if self.injector is not None and self.injector.ready:
            call = self.injector.bound(call, defer=True)
        self.call = call

    async def _hook(self, name: str, worker: WorkerThread) -> None:
        # A hook runs to its end even where nobody waits any more.
        await call_hook(self.instance, name, lambda hook: asyncio.shield(worker.submit(hook)))

    def run(self, raws: Sequence[object], visits: Mapping[int, Visit] = NOT_TRACED) -> ChunkOutcome:
        """Take a chunk through sync code, those that are traced in order; runs on a worker."""
        began = time.perf_counter()
        outcome = self._decode(raws)
        outcome.began = began
        outcome.decode_s = time.perf_counter() - began
        call = _listing(self.call) if self.many else self.call
        if outcome.faults:
            call = _skipping(call)
        values = iter(outcome.values)
        for traced, visit in visits.items():
            gap = traced - len(outcome.results)
            if gap:
                _call_each(call, islice(values, gap), outcome)
            notes, token = self._noting(visit, began)
            _call_each(call, islice(values, 1), outcome)
            _noted(notes, token, began)
        _call_each(call, values, outcome)
        if self.injector is not None and self.injector.pushes:
            settle_all(outcome.results, outcome.faults)
        called = time.perf_counter()
        self._finish(outcome)
        ended = time.perf_counter()
        outcome.encode_s, outcome.seconds = ended - called, ended - began
        return outcome

    async def run_async(
        self, raws: Sequence[object], visits: Mapping[int, Visit] = NOT_TRACED
    ) -> ChunkOutcome:
        """Take a chunk through async code, one element after the other; runs on the loop."""
        began = time.perf_counter()
        outcome = self._decode(raws)
        outcome.began = began
        outcome.decode_s = time.perf_counter() - began
        call = cast("Callable[[Any], Awaitable[Any]]", self.call)
        if self.many:
            call = _async_listing(cast("Callable[[Any], AsyncIterator[Any]]", self.call))
        values = iter(outcome.values)
        for traced, visit in visits.items():
            gap = traced - len(outcome.results)
            if gap:
                await _await_each(call, islice(values, gap), outcome)
            notes, token = self._noting(visit, began)
            try:
                await _await_each(call, islice(values, 1), outcome)
            finally:
                _noted(notes, token, began)
        await _await_each(call, values, outcome)
        if self.injector is not None and self.injector.pushes:
            await settle_all_async(outcome.results, outcome.faults)
        called = time.perf_counter()
        self._finish(outcome)
        ended = time.perf_counter()
        outcome.encode_s, outcome.seconds = ended - called, ended - began
        return outcome

    def _noting(self, visit: Visit, began: float) -> tuple[CallNotes | None, _Token]:
        """Begin with a call that is traced, in a chunk that began then."""
        ring = logs.current.get()
        if ring is None:  # nobody's
            return None, None
        notes = visit.notes = CallNotes(ring, time.perf_counter() - began)
        if visit.sampled and self.injector is not None and self.injector.pushes:
            notes.context = visit.outgoing()
        return notes, logs.current.set(notes)

    def _decode(self, raws: Sequence[object]) -> ChunkOutcome:
        ring = logs.current.get()
        lines = 0 if ring is None else ring.count
        if self.secrets is None:
            outcome = self._decoded(raws)
        else:
            self._hide([unwrapped(raw) for raw in raws])  # a type's own code may print, too
            outcome = self._decoded(raws)
            self._hide(outcome.values)
        outcome.lines = lines
        return outcome

    def _hide(self, values: Sequence[object]) -> None:
        """Let nothing that the code prints or says show the secrets of these."""
        ring = logs.current.get()
        found = self.secrets(values) if self.secrets is not None and ring is not None else ()
        if found and ring is not None:
            ring.hide(found)

    def _hide_made(self, results: Sequence[object], lines: int) -> None:
        """The same for secrets that the code made; what it printed of them is masked now."""
        ring, secrets = logs.current.get(), self.made_secrets
        if ring is None or secrets is None:
            return
        found: list[object] = []
        for one in (each for result in results for each in _seen(result)):
            with suppress(BaseException):  # a user's class, which may do anything
                found += [] if one is None else secrets(one)
        if ring.hide(found):
            ring.hide_behind(lines)

    def _decoded(self, raws: Sequence[object]) -> ChunkOutcome:
        try:
            return ChunkOutcome(values=self.decoder.many(raws))
        except ConversionError:
            outcome = ChunkOutcome()
        values: list[object] = []
        for i, raw in enumerate(raws):
            try:
                values.append(self.decoder.one(raw))
            except ConversionError as error:
                outcome.faults[i] = error
                values.append(FAULTY)
        outcome.values = values
        return outcome

    def _finish(self, outcome: ChunkOutcome) -> None:
        """Flatten results and bring them into the sink's form."""
        results, faults = outcome.results, outcome.faults
        if self.made_secrets is not None:
            self._hide_made(results, outcome.lines)
        kinds = _kinds(results)
        if not faults and kinds and _FLATTENED.isdisjoint(kinds):
            items: list[object] = results
            known = kinds == {self.encode.expected}
        else:
            items, outcome.slots = self._flatten(outcome)
            known = False
        try:
            outcome.items = self.encode.form(items) if known else self.encode(items)
        except ConversionError:
            self._encode_each(outcome, items)

    def _flatten(self, outcome: ChunkOutcome) -> tuple[list[object], list[int]]:
        items: list[object] = []
        slots: list[int] = []
        for i, result in enumerate(outcome.results):
            if i in outcome.faults:
                continue
            if not any(type(result) is kind for kind in _FLATTENED):
                items.append(result)
                slots.append(i)
                continue
            try:
                found = flatten(result)
            except BaseException as error:  # noqa: BLE001  (a returned generator is user code)
                outcome.faults[i] = error
                continue
            outcome.results[i] = found
            outcome.dropped += not found
            items += found
            slots += [i] * len(found)
        return items, slots

    def _encode_each(self, outcome: ChunkOutcome, items: Sequence[object]) -> None:
        slots = outcome.slots if outcome.slots is not None else range(len(items))
        encoded: list[tuple[int, object]] = []
        for slot, item in zip(slots, items, strict=True):
            try:
                encoded.append((slot, self.encode([item])[0]))
            except ConversionError as error:
                outcome.faults[slot] = error
        good = [(slot, item) for slot, item in encoded if slot not in outcome.faults]
        outcome.slots = [slot for slot, _ in good]
        outcome.items = [item for _, item in good]


def compile_code(spec: ConsumerSpec, injector: Injector | None = None) -> Code:
    """Compile a spec's converters; `set_up` makes it ready to run.

    Raises:
        DeclarationError: a type cannot be converted.
    """
    owner = f"consumer {spec.id!r}"
    wire = spec.sink.sink_wire if spec.sink is not None else Wire.OBJECT
    return Code(
        spec=spec,
        decoder=compile_decoder(spec.input_type, spec.source.source_wire, owner),
        encode=compile_encoder(spec.output_type, wire, owner),
        injector=injector,
    )


def _noted(notes: CallNotes | None, token: _Token, began: float) -> None:
    """A call that is traced is over."""
    if notes is not None and token is not None:
        notes.took_s = time.perf_counter() - began - notes.began
        logs.current.reset(token)


def _call_each(call: Callable[[Any], Any], values: Iterable[object], outcome: ChunkOutcome) -> None:
    """Call each of these, after those that were called before."""
    results, faults = outcome.results, outcome.faults
    append = results.append
    for value in values:
        try:
            append(call(value))
        except BaseException as error:  # noqa: BLE001  (user code, sys.exit too)
            faults[len(results)] = error
            append(None)


async def _await_each(
    call: Callable[[Any], Awaitable[Any]], values: Iterable[object], outcome: ChunkOutcome
) -> None:
    """The same for async code."""
    results, faults = outcome.results, outcome.faults
    for value in values:
        if value is FAULTY:
            results.append(None)
            continue
        try:
            results.append(await call(value))
        except BaseException as error:  # user code, sys.exit too
            if isinstance(error, asyncio.CancelledError) and being_cancelled():
                raise
            faults[len(results)] = error
            results.append(None)


def _kinds(results: Sequence[object]) -> set[type]:
    """The classes of results; none where there are no results, or one has no hash."""
    try:
        return set(map(type, results))
    except BaseException:  # noqa: BLE001  (a metaclass of the user's)
        return set()


def _seen(result: object) -> Sequence[object]:
    """What can be seen of a result before it is flattened: a generator's are yet to come."""
    many = type(result) is list or type(result) is tuple
    return (result, *cast("Sequence[object]", result)) if many else (result,)


def _listing(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: list(call(value))


def _async_listing(
    call: Callable[[Any], AsyncIterator[Any]],
) -> Callable[[Any], Awaitable[list[Any]]]:
    return lambda value: listed(call(value))


def _skipping(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is FAULTY else call(value)
