"""What `peek`, `failures`, `logs`, `send` and `list` give: plain lists that also look like tables.

They are lists of the runtime's own records, so that the next cell can compute with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.cockpit.views.snapshot_view import aligned
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.portable import with_origin
from buildflow_nb.core.primitive import Readable, Writable
from buildflow_nb.core.status.snapshot import Failure, Passage
from buildflow_nb.flow import Flow
from buildflow_nb.runtime.observability.failures import FailureRecord
from buildflow_nb.runtime.observability.logs import LogLine

__all__ = (
    "MOST_ROWS",
    "WELL",
    "Deal",
    "Dealt",
    "Declared",
    "Failures",
    "Lines",
    "Listing",
    "Passages",
    "Traceback",
    "passed",
)

Record = TypeVar("Record")
MOST_ROWS = 200  # rows shown; the list itself is whole
_LONGEST_NAME = 120  # characters of a primitive's name
_TEXT_WIDTH = 70  # characters of a value in plain text
_WENT = {
    "passed": "✓",
    "failed again": "✕",
    "not tried": "○",
    "would pass": "✓",
    "fails still": "✕",
    "discarded": formats.NOTHING,
}
WELL = frozenset(
    {"passed", "discarded", "would pass"}
)  # how a failure went that needs nothing more
_TONES = {"WARNING": "warn", "ERROR": "err", "CRITICAL": "err", "STDERR": "warn"}


class Listing(list[Record], Generic[Record]):
    """Records with a title; `repr` and HTML show a table."""

    heads: tuple[str, ...] = ()
    left = 1

    def __init__(self, records: Iterable[Record], title: str) -> None:
        super().__init__(records)
        self.title = title

    def row(self, record: Record) -> tuple[str, ...]:
        """The record's columns as text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        if not self:
            return f"{self.title}: nothing"
        cut = [tuple(formats.clean(v, _TEXT_WIDTH) for v in self.row(r)) for r in self._last()]
        return "\n".join([self._counted(), *aligned(self.heads, cut, left=len(self.heads))])

    def _repr_html_(self) -> str:
        heads: list[Cell] = [(head, "l") for head in self.heads]
        body = markup.table(self.title, heads, [self._cells(record) for record in self._last()])
        if not self:
            body = '<pre class="mute">nothing</pre>'
        header = f"<b>{quote(self._counted())}</b>"
        return markup.card(self.title, header, body)

    def _cells(self, record: Record) -> list[Cell]:
        return [
            (f"<code>{quote(value)}</code>", "w") if i >= self.left else (quote(value), "l")
            for i, value in enumerate(self.row(record))
        ]

    def _last(self) -> list[Record]:
        return self[-MOST_ROWS:]

    def _counted(self) -> str:
        more = f", last {MOST_ROWS}" if len(self) > MOST_ROWS else ""
        return f"{self.title} · {len(self):,}{more}"


def passed(flow: Flow, processor_id: str, count: int) -> list[Passage | FailureRecord]:
    """The last elements of a processor, those that failed among them, newest last.

    Raises:
        UsageError: there is no such processor.
    """
    found: list[Passage | FailureRecord] = [*flow.peek(processor_id, count)]
    found += flow.failures(processor_id)[-count:]
    return sorted(found, key=lambda each: each.at)[-count:]


class Passages(Listing[Passage | FailureRecord]):
    """The last elements of a processor and what became of them, newest last."""

    heads = ("at", "took", "element", "results")
    left = 2

    def row(self, record: Passage | FailureRecord) -> tuple[str, ...]:
        """Time, duration, element, results or error."""
        if isinstance(record, FailureRecord):
            failed = f"✕ {record.error}; {record.fate}"
            return (
                formats.clock(record.at),
                formats.NOTHING,
                formats.shown(record.element),
                formats.clean(failed, formats.LONGEST),
            )
        results = ", ".join(formats.shown(result) for result in record.results) or "dropped"
        return (
            formats.clock(record.at),
            formats.latency(record.seconds),
            formats.shown(record.element),
            formats.clean(results, formats.LONGEST),
        )


class Failures(Listing[FailureRecord | Failure]):
    """Elements that failed for good: live, so that the next cell can retry or debug them."""

    heads = ("no.", "at", "processor", "tries", "fate", "origin", "error", "element")
    left = 6

    def row(self, record: FailureRecord | Failure) -> tuple[str, ...]:
        """Number, time, processor, tries, fate, origin, error, element."""
        return (
            str(record.number),
            formats.clock(record.at),
            record.processor_id,
            str(record.tries),
            record.fate,
            record.origin or formats.NOTHING,
            formats.clean(record.error, formats.LONGEST),
            formats.shown(record.element),
        )


@dataclass(frozen=True, slots=True)
class Deal:
    """What became of one failure that a line dealt with."""

    failure: FailureRecord
    went: str
    said: str


class Dealt(Listing[Deal]):
    """Failures that were retried or discarded, each with how it went."""

    heads = ("no.", "processor", "went", "what it said")
    left = 3

    def row(self, record: Deal) -> tuple[str, ...]:
        """Number, processor, how it went, result or error."""
        shape = _WENT.get(record.went, "")
        said = formats.clean(record.said, formats.LONGEST)
        failure = record.failure
        return str(failure.number), failure.processor_id, f"{shape} {record.went}".strip(), said

    def _cells(self, record: Deal) -> list[Cell]:
        cells = super()._cells(record)
        tone = {"passed": "ok", "failed again": "err"}.get(record.went, "mute")
        cells[2] = (cells[2][0], f"l {tone}")
        return cells

    def _counted(self) -> str:
        went = Counter(deal.went for deal in self)
        parts = ", ".join(f"{count:,} {word}" for word, count in went.items())
        return f"{super()._counted()}{': ' if parts else ''}{parts}"


class Lines(Listing[tuple[str, LogLine]]):
    """Log lines with the processor they belong to, oldest first."""

    heads = ("at", "processor", "level", "text")
    left = 3

    def row(self, record: tuple[str, LogLine]) -> tuple[str, ...]:
        """Time, processor, level, text."""
        processor_id, line = record
        return formats.clock(line.at), processor_id, line.level, line.text

    def _cells(self, record: tuple[str, LogLine]) -> list[Cell]:
        cells = super()._cells(record)
        cells[2] = (cells[2][0], f"l {_TONES.get(record[1].level, '')}".strip())
        return cells


class Declared(Listing[ProcessorSpec]):
    """What a flow declares."""

    heads = ("processor", "kind", "from", "to", "code")
    left = 2

    def row(self, record: ProcessorSpec) -> tuple[str, ...]:
        """Id, kind, source or route, sink, form of the code."""
        from_ = (
            _named(record.source)
            if isinstance(record, ConsumerSpec)
            else f"{record.method} {record.route}"
        )
        sink = None if isinstance(record, EndpointSpec) else record.sink
        to = formats.NOTHING if sink is None else _named(sink)
        return record.id, record.kind, from_, to, _form(record)


class Traceback(str):
    """The traceback of one failure, shown as it stands."""

    __slots__ = ()

    def __repr__(self) -> str:
        return formats.clean(self)

    def _repr_html_(self) -> str:
        body = f"<pre>{quote(self)}</pre>"
        return markup.card("Traceback", "<b>traceback</b>", body)


def _named(primitive: Readable | Writable) -> str:
    return formats.clean(with_origin(primitive), _LONGEST_NAME)


def _form(spec: ProcessorSpec) -> str:
    processor = spec.processor
    form = "class" if processor.is_class else "def"
    return f"async {form}" if processor.is_async else form
