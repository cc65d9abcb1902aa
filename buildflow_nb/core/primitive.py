"""What a primitive is: printable configuration plus up to three abilities.

A primitive (a queue, a table, a file) is a dataclass without I/O, so that it can be declared,
compared, pickled and shown anywhere. What it can do is said by Protocols: `Readable` opens a
`Source`, `Writable` opens a `Sink`, `Managed` declares cloud resources. A sink used as a source
is therefore an error when it is declared, not a `NotImplementedError` when it runs.

Delivery: a source hands out elements in batches and is told later, element by element, which of
them are done (`settle`). Sources that cannot redeliver leave `receipts` at `None`.

A reader's fault is never an end. Whatever `pull` raises, one of three things follows:

* What the source could read but not convert it hands out as `Malformed`: that element fails alone,
  with its origin, and its neighbours arrive.
* `TemporaryError`, `ConnectionError` and `TimeoutError` say that it cannot be read for now. It is
  asked again, with back-off, and goes on where it was. An end right after such a fault is not
  believed, since a generator that has raised looks just like one that is exhausted: a source that
  finds itself at its end then hands out an empty batch first.
* Anything else, also what is no `Exception`, says that it cannot go on: the processor is FAILED
  with that reason, and the source is not asked again.

"Done" therefore means that every element was settled or is kept as a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import msgspec

from buildflow_nb.core.env import Env, Services, stack_said
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.managed import (
    Composite,
    Dependent,
    Incomplete,
    Managed,
    Site,
    check_managed,
    key_of,
    label_of,
    owned_by,
    parents_of,
)
from buildflow_nb.core.trace_context import TraceContext

__all__ = (
    "Batch",
    "Checkable",
    "Columned",
    "Composite",
    "Dependent",
    "Env",
    "IdempotentSink",
    "Incomplete",
    "Malformed",
    "Managed",
    "PrimitiveId",
    "PushId",
    "Readable",
    "Releasing",
    "Services",
    "Sink",
    "Site",
    "Source",
    "Wire",
    "Writable",
    "check_managed",
    "key_of",
    "label_of",
    "owned_by",
    "parents_of",
    "stack_said",
)


class PrimitiveId(str):
    """An id: `primitive.primitive_id`, and `primitive.primitive_id()` as BuildFlow 0.3 had it."""

    __slots__ = ()

    def __call__(self) -> str:
        """The id, as plain text."""
        return str(self)


class Wire(Enum):
    """The form in which a source or sink carries an element; it selects the converter."""

    OBJECT = "object"  # Python objects, as they are
    RECORD = "record"  # dict of plain values (numbers, str, datetime, list, dict, None)
    ROW = "row"  # dict of text, "" for nothing: a CSV row
    TEXT = "text"  # str; anything but str and bytes is JSON
    BYTES = "bytes"  # bytes; anything but str and bytes is JSON
    JSON = "json"  # bytes of one JSON value, decoded straight into the type; plain values without


@dataclass(frozen=True, slots=True)
class Malformed:
    """An element that the source could read but not parse; it fails alone, with `reason`."""

    raw: object
    reason: str


class Batch(msgspec.Struct, frozen=True):  # made in a seventh of a dataclass's time
    """Elements pulled together.

    `receipts`, when there, holds one receipt per item, to be settled once each.
    `origin` names where item *i* came from ("flights.csv line 17"), for error messages.
    `contexts` has the trace that an item came with, by position, for those that came with one.
    """

    items: Sequence[object]
    receipts: Sequence[object] | None = None
    origin: Callable[[int], str] | None = None
    contexts: Mapping[int, TraceContext] | None = None


class Source(Protocol):
    """An open connection that yields batches."""

    async def pull(self) -> Batch | None:
        """Wait for the next batch; empty `items` means "nothing yet", `None` the end.

        Waits no longer than is cheap, then gives an empty batch: an endless source is known to be
        drained only when a pull that began after everything else was settled has come back empty.

        Cancelled when the processor stops: an element that was not returned must not be lost.

        Raises:
            TemporaryError: the source cannot be read for now (it is asked again, with back-off).
            PermanentError: it can never be read as declared; so does everything else, but for
                `ConnectionError` and `TimeoutError`.
        """
        ...

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Acknowledge elements (`ok`), or give back those that failed, to be delivered again.

        What was given back waits with growing time, where the source can arrange that.
        """
        ...

    async def backlog(self) -> int | None:
        """Elements not yet settled that this source does not hold; `None` where it cannot tell.

        Those that are hidden for a while (leased by a consumer that was killed, or given back with
        a pause) count, too, where the source can tell.
        """
        ...


@runtime_checkable
class Releasing(Protocol):
    """A source that tells elements which nobody has tried from those that failed.

    Without this, what is in flight when a processor stops is settled with `ok=False`.
    """

    async def release(self, receipts: Sequence[object]) -> None:
        """Give elements back that were not tried, to be delivered again at once."""
        ...


class Sink(Protocol):
    """An open connection that takes elements.

    `push` may be called again before it returned when a processor has several replicas.
    """

    async def push(self, items: Sequence[object]) -> None:
        """Write all items durably and in order, or raise and have written none.

        Raises:
            PartialPushError: all were written but those it names.
            TemporaryError: the sink cannot be written for now (it is pushed again, with back-off).
            PermanentError: it can never be written as declared.
        """
        ...


@dataclass(frozen=True, slots=True)
class PushId:
    """Which push this is of all that a processor has ever made: the same again after a crash.

    `writer` names the processor and its flow (letters, digits, `-` and `_`, at most 100); before
    the push `first` elements were pushed, and it has `count`.
    """

    writer: str
    first: int
    count: int

    def __str__(self) -> str:
        return f"{self.writer}-{self.first}-{self.count}"


@runtime_checkable
class IdempotentSink(Sink, Protocol):
    """A sink that stores a push once, however often it is told to."""

    async def push_once(self, items: Sequence[object], push: PushId) -> None:
        """As `push`, but store nothing where this push was stored before, by whatever process.

        A writer's pushes come one after another, each where the last one ended. After a crash the
        last few may be repeated, in order and with the same items, before new ones come. Elements
        at fault (`PartialPushError`) count as stored, so that the push is over.
        """
        ...


@runtime_checkable
class Readable(Protocol):
    """A primitive that a consumer may read."""

    @property
    def primitive_id(self) -> str:
        """Stable name, unique in a flow."""
        ...

    @property
    def source_wire(self) -> Wire:
        """The form of the elements that its source yields."""
        ...

    @property
    def max_pullers(self) -> int:
        """How many pulls may be in flight at once; 1 for a source with one cursor."""
        ...

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source; leaving the context closes it."""
        ...


@runtime_checkable
class Writable(Protocol):
    """A primitive that a processor may write.

    A push is made of what is waiting, at most `max_push` elements; with `linger_s` above zero
    the pipeline waits that long for more, for sinks where a write is dear.
    """

    @property
    def primitive_id(self) -> str:
        """Stable name, unique in a flow."""
        ...

    @property
    def sink_wire(self) -> Wire:
        """The form of the elements that its sink takes."""
        ...

    @property
    def max_push(self) -> int:
        """Elements in one push, at most."""
        ...

    @property
    def linger_s(self) -> float:
        """Seconds to wait for a fuller push."""
        ...

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink for elements of type `element` (`None` where none is declared)."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """A primitive that can be looked at without consuming or writing anything."""

    async def check(self, env: Env) -> Sequence[Finding]:
        """Say whether it can be reached, with which credentials, and whether it is there.

        Never raises for what is wrong with it: that is a finding, with its cure.
        """
        ...


@runtime_checkable
class Columned(Protocol):
    """A primitive with columns that can be looked at for next to nothing."""

    async def columns(self, env: Env) -> Columns | None:
        """The columns, `None` where nothing is there yet, or it has none."""
        ...
