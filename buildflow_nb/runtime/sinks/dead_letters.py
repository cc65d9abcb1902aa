"""Where elements go that failed for good, when a processor names a `dead_letter` sink.

What is written is a record: which processor, the element, the error with its traceback, how often
it was tried, where it came from and when.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Self

from buildflow_nb.core.conversion.encode import compile_encoder, json_bytes
from buildflow_nb.core.optional_abilities import TracingSink
from buildflow_nb.core.primitive import Env, Writable, label_of
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.liveness import Waits
from buildflow_nb.runtime.observability.failures import Fault
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe, short_traceback
from buildflow_nb.runtime.sinks.push import ENDS_HERE

__all__ = ("DeadLetters", "fate_of")


def fate_of(*, written: bool, given_back: bool = False) -> str:
    """What became of an element that failed for good: safe in a sink, with its source, or gone."""
    return "dead-lettered" if written else "given back" if given_back else "dropped"


class DeadLetters:
    """An open dead-letter sink, or none."""

    def __init__(
        self, primitive: Writable | None, ledger: Ledger, waits: Waits | None = None
    ) -> None:
        self._primitive = primitive
        self._ledger = ledger
        self._waits = waits
        self._stack = AsyncExitStack()
        self._sink: Any = None

    @property
    def there(self) -> bool:
        """Whether the processor has a dead-letter sink."""
        return self._primitive is not None

    async def open(self, env: Env) -> Self:
        """Open the sink, if there is one.

        Raises:
            TemporaryError: it cannot be opened for now.
        """
        if self._primitive is not None:
            self._sink = await self._stack.enter_async_context(self._primitive.sink(env, None))
        return self

    async def close(self) -> None:
        """Close the sink."""
        await self._stack.aclose()

    async def write(self, faults: list[Fault]) -> bool:
        """Write elements that failed; whether they are safely there.

        A temporary fault of the sink is waited out where there are `waits` to show it.
        """
        if self._sink is None or self._primitive is None:
            return False
        encode = compile_encoder(None, self._primitive.sink_wire, "dead letter")
        contexts = self._contexts(faults)
        try:
            records = encode([self._record(fault) for fault in faults])
            if self._waits is None:
                await self._push(records, contexts)
            else:
                await self._waits.out("dead letter", lambda: self._push(records, contexts))
        except BaseException as error:  # a sink may raise anything
            if is_cancel(error):
                raise
            text = f"dead letter of {self._ledger.processor_id}: {describe(error)}"
            self._ledger.log.add("ERROR", text)
            self._written(faults, "not written; the log says why")
            return False
        self._written(faults, "")
        return True

    def _contexts(self, faults: list[Fault]) -> dict[int, TraceContext]:
        """The traces that elements take along, by position; their push is noted there."""
        now, name = self._ledger.clock.now(), f"dead letter {label_of(self._primitive)}"
        ends = "" if isinstance(self._sink, TracingSink) else ENDS_HERE
        found = {}
        for i, fault in enumerate(faults):
            if fault.visit is not None:
                written = fault.visit.writes(name, now, ends)
                found[i] = fault.visit.outgoing(written.span_id)
        return found

    def _written(self, faults: list[Fault], error: str) -> None:
        now = self._ledger.clock.now()
        for fault in faults:
            if fault.visit is not None:
                fault.visit.written[-1].ended = fault.visit.ended = now
                fault.visit.written[-1].error = error

    def _push(
        self, records: Sequence[object], contexts: Mapping[int, TraceContext]
    ) -> Awaitable[None]:
        if contexts and isinstance(self._sink, TracingSink):
            return self._sink.push_traced(records, contexts)
        found: Awaitable[None] = self._sink.push(records)
        return found

    def _record(self, fault: Fault) -> dict[str, object]:
        # The element is whole, but errors are for people to read.
        said, error = self._ledger.said, fault.error
        trace = "".join(traceback.format_exception(error))
        return {
            "processor_id": self._ledger.processor_id,
            "element": _text(fault.element),
            "error": self._ledger.said_error(error, fault.element),
            "traceback": short_traceback(said(trace, fault.element)),
            "tries": fault.tries,
            "origin": fault.origin or "",
            "at": datetime.fromtimestamp(self._ledger.clock.time(), UTC).isoformat(),
        }


def _text(element: object) -> str:
    """The element as JSON, else as it shows itself, else by its class; bytes of text as text."""
    if isinstance(element, bytes):  # of a source of JSON: they are JSON already
        with suppress(UnicodeDecodeError):
            return element.decode()
    with suppress(Exception):
        return json_bytes(element).decode()
    with suppress(Exception):
        return repr(element)
    return f"<{type(element).__name__}>"
