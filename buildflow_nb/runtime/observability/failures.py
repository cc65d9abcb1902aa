"""A failure as its ledger keeps it and as a person has it: looked at, edited, retried, discarded.

The element that failed is never lost: an edit stands beside it, and a retry that fails again only
renews the error. The element itself may have secrets, so it stays in here: what a person sees of it
is redacted, and a secret that an edit left masked is put back before the edit is run. Only the last
`EXCEPTIONS` failures of a processor keep the error itself, with its frames, since those keep what
the user's code had in its hands. Texts of errors are kept up to a length, and an error that has
more text than can be kept is not kept itself.

What a retry means under at-least-once delivery: it runs the element through the code of this
moment and writes its results to the sink, whatever became of the element before. One that was
`given back` may be delivered by its source as well, and is then written twice; the record of one
that was `dead-lettered` stays in the dead-letter sink. A retry whose sink does not answer in time
may still be written later, and its failure stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Protocol

from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.core.status.snapshot import Failure
from buildflow_nb.runtime.observability.logs import LogRing
from buildflow_nb.runtime.observability.masked_error import masked_error
from buildflow_nb.runtime.observability.redaction import Redaction
from buildflow_nb.runtime.observability.tracebacks import (
    cut,
    describe,
    harmless,
    is_huge,
    short_line,
    short_traceback,
)
from buildflow_nb.runtime.observability.visits import Visit

__all__ = ("EXCEPTIONS", "FailureRecord", "Fault", "Keeper", "RetryInput", "RetryResult")

EXCEPTIONS = 20  # errors kept with their frames, for each processor
_SAME = object()
_LONGEST = 200  # characters of the input in one line
_FACTS = (
    *("at", "error", "exception", "fate", "number", "origin"),
    *("processor_id", "trace_id", "traceback", "tries"),
)
_DEEDS = ("discard", "element", "input", "original", "reraise", "retry")


@dataclass(frozen=True, slots=True)
class Fault:
    """An element that failed for good, before it is recorded.

    `call` holds the arguments of a route by name, where it can be called with them again. `told`
    is the error in one line, and its traceback, where it happened in another process. `visit` is
    its last try, where that is traced.
    """

    element: object
    error: BaseException
    tries: int
    origin: str | None = None
    call: Mapping[str, object] | None = None
    told: tuple[str, str] | None = None
    visit: Visit | None = None


@dataclass(frozen=True, slots=True)
class RetryInput:
    """What is to be run again: an element as it came, or as a person edited it."""

    element: object
    edited: bool
    call: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of it: results that are in the sink, or the error."""

    results: tuple[object, ...] = ()
    error: BaseException | None = None


class Keeper(Protocol):
    """The ledger of a record, as the record sees it."""

    processor_id: str
    redaction: Redaction
    log: LogRing

    def retry(self, record: FailureRecord, wanted: RetryInput) -> RetryResult:
        """Run it again, and keep the books; results are as a person may see them."""
        ...

    def discard(self, record: FailureRecord) -> None:
        """Forget it."""
        ...


class FailureRecord:
    """One element that failed for good; secrets in it are shown as `****`.

    `number` counts up for each processor, `at` is in seconds since the epoch. `error` is the last
    error in one line, `traceback` the same from the user's first frame on, and `exception` the
    error itself, for the last 20 failures of a processor, unless its text is huge. `tries` says how
    often it was tried, `origin` where it came from, if the source says so, and `fate` what became
    of it: dead-lettered, given back, dropped; later retried or discarded. `trace_id` names its
    trace, "" where nothing is traced. Only `input` can be assigned.
    """

    __slots__ = (
        *_FACTS,
        "_busy",
        "_call",
        "_edited",
        "_keeper",
        "_raw",
        "_settled",
        "_shown",
        "_trace",
    )

    at: float
    error: str
    exception: BaseException | None
    fate: str
    number: int
    origin: str | None
    processor_id: str
    trace_id: str
    traceback: str
    tries: int

    def __init__(self, keeper: Keeper, number: int, at: float, fault: Fault, fate: str) -> None:
        self._keep(processor_id=keeper.processor_id, number=number, at=at, fate=fate)
        self._keep(origin=fault.origin, tries=fault.tries)
        self._keep(trace_id="" if fault.visit is None else fault.visit.trace_id)
        self._keeper = keeper
        self._busy = self._settled = False
        self._raw = fault.element
        self._call = fault.call
        self._edited: tuple[object] | None = None
        self._shown: tuple[object] | None = None
        self._trace: TracebackType | None = None
        self._note(fault.error)
        if fault.told is not None:
            self._keep_texts(*fault.told)

    # -- for a person --------------------------------------------------------------------------

    @property
    def input(self) -> object:
        """The element as its source gave it, or as it was edited; assign to edit it."""
        if self._shown is None:
            redaction = self._keeper.redaction
            if self._edited is not None:
                self._shown = (redaction.element(self._edited[0]),)
            else:
                self._shown = (redaction.raw(self._raw),)
        return self._shown[0]

    @input.setter  # noqa: A003  (it is its name)
    def input(self, value: object) -> None:
        self._edited, self._shown = (self._keeper.redaction.restored(value, self._raw),), None

    @property
    def element(self) -> object:
        """The same as `input`."""
        return self.input

    @property
    def original(self) -> object:
        """The element that failed first, whatever it was edited to."""
        return self._keeper.redaction.raw(self._raw)

    def retry(self, edited: object = _SAME) -> list[object]:
        """Run it, or `edited` in its place, through the live code and into the sink.

        Gives the results, with their secrets masked; the sink has them whole. Once it passes, it
        leaves the list of failures.

        Raises:
            UsageError: the processor does not run, this was retried or discarded already, or it
                cannot be run without its request; the failure stays as it was.
            TimeoutError: code or sink did not answer in time; it may still be written.
            Exception: whatever the code raised, of its type, with the secrets that it quotes
                masked; the failure stays, with this error.
        """
        if edited is not _SAME:
            self.input = edited
        result = self._keeper.retry(self, self._to_run())
        if result.error is None:
            return list(result.results)
        if self.exception is not None:
            raise harmless(self.exception).with_traceback(self._trace)
        raise harmless(masked_error(result.error, self._said))

    def discard(self) -> None:
        """Forget it.

        Raises:
            UsageError: it was retried or discarded already.
        """
        self._keeper.discard(self)

    def reraise(self) -> NoReturn:
        """Raise the kept error as it happened, so that `%debug` opens in the frame that failed.

        Raises:
            UsageError: the error is not kept any more.
            Exception: the error, of its type, with the secrets that it quotes masked.
        """
        error, trace = self.exception, self._trace
        if error is None:
            msg = (
                f"the exception of failure {self.number} of {self.processor_id!r} is not kept (the "
                f"last {EXCEPTIONS} are, but for huge ones); .traceback has its text, .retry() "
                "runs it again"
            )
            raise UsageError(msg)
        raise harmless(error).with_traceback(trace)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "input" and not name.startswith("_"):  # nor may a misspelt edit be lost
            msg = f"{name!r} of a failure cannot be assigned; assign .input, or call .discard()"
            raise AttributeError(msg)
        object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return [*_FACTS, *_DEEDS]  # what a person has use for

    def __repr__(self) -> str:
        try:
            shown = repr(self.input)
        except Exception as error:  # noqa: BLE001  (a user's own __repr__)
            shown = f"<{type(self.input).__name__}, its repr raised {type(error).__name__}>"
        shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
        return f"<failure {self.number} of {self.processor_id!r}: {self.error}; input {shown}>"

    # -- for its ledger, on the loop -----------------------------------------------------------

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Let nobody else retry or discard it meanwhile, since nothing is done twice by mistake.

        Raises:
            UsageError: it was retried or discarded already, or is being retried.
        """
        name = f"failure {self.number} of {self.processor_id!r}"
        if self._settled:
            msg = (
                f"{name} is {self.fate} already; app.failures({self.processor_id!r}) lists the rest"
            )
            raise UsageError(msg)
        if self._busy:
            msg = f"{name} is being retried at this moment; wait for that to end"
            raise UsageError(msg)
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def renew(self, error: BaseException) -> None:
        """It failed again."""
        self._keep(tries=self.tries + 1)
        self._note(error)

    def settle(self, fate: str) -> None:
        """It is dealt with."""
        self._settled = True
        self._keep(fate=fate)
        self.forget_exception()

    def forget_exception(self) -> None:
        """Let go of the error and of the frames that it holds; its text stays."""
        self._trace = None
        self._keep(exception=None)

    def fault(self) -> Fault:
        """What happened, with the element as it came, to be kept elsewhere."""
        error = self.exception or RuntimeError(self.error)
        return Fault(self._raw, error, self.tries, self.origin, self._call)

    def as_data(self) -> Failure:
        """The failure as frozen data, for events."""
        return Failure(
            number=self.number,
            at=self.at,
            processor_id=self.processor_id,
            element=self.element,
            error=self.error,
            traceback=self.traceback,
            tries=self.tries,
            origin=self.origin,
            fate=self.fate,
            trace_id=self.trace_id,
        )

    def _to_run(self) -> RetryInput:
        self._take_over_edits()
        if self._edited is not None:
            return RetryInput(self._edited[0], edited=True)
        return RetryInput(self._raw, edited=False, call=self._call)

    def _take_over_edits(self) -> None:
        """What is shown of a secret element is a copy; changes made to it in place count, too."""
        if self._shown is None:
            return
        redaction, shown = self._keeper.redaction, self._shown[0]
        if self._edited is not None:
            base, untouched = self._edited[0], redaction.element(self._edited[0])
        else:
            base, untouched = self._raw, redaction.raw(self._raw)
        if shown is not base and not _equal(shown, untouched):
            self.input = shown

    def _said(self, text: str) -> str:
        """A text about this element, without secrets."""
        element = self._raw if self._edited is None else self._edited[0]
        return self._keeper.log.told(self._keeper.redaction.text(text, element))

    def _note(self, error: BaseException) -> None:
        text = cut(error)
        self._keep_texts(describe(error), text)
        if is_huge(error):
            self.forget_exception()
            return
        secret = self._keeper.redaction.secret
        if secret and isinstance(error, ConversionError):
            # It quotes the element; ours, which stands before it, names the field.
            error.__cause__ = error.__context__ = None
        if secret or self._keeper.log.hidden is not None:
            error = masked_error(error, self._said)
        self._trace = error.__traceback__
        self._keep(exception=error)

    def _keep_texts(self, error: str, traceback: str) -> None:
        self._keep(error=short_line(self._said(error)))
        self._keep(traceback=short_traceback(self._said(traceback)))

    def _keep(self, **facts: object) -> None:
        for name, value in facts.items():
            object.__setattr__(self, name, value)


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  (arrays, and whatever a user's class does)
        return False
