"""A failure in a person's hands: looked at, edited, retried, debugged, discarded.

What a retry means under at-least-once delivery: it runs the element through the code of this
moment and writes its results to the sink, whatever became of the element before. One that was
`given back` may be delivered by its source as well, and is then written twice; the record of one
that was `dead-lettered` stays in the dead-letter sink. A retry whose sink does not answer in time
may still be written later, and its failure stays.
"""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn, Protocol

from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.consumer.manual_retry import Redone
from buildflow_nb.runtime.observability.kept import EXCEPTIONS, Kept
from buildflow_nb.runtime.observability.masked_error import masked_error
from buildflow_nb.runtime.observability.tracebacks import harmless

__all__ = ("Failed", "Retrier")

_SAME = object()
_LONGEST = 200  # characters of the input in one line


class Retrier(Protocol):
    """The run that retries."""

    def redo(self, kept: Kept) -> Redone:
        """Run it again; does not raise what the code raised."""
        ...

    def discard(self, kept: Kept) -> None:
        """Forget it."""
        ...


class Failed:
    """One element that failed for good; secrets in it are shown as `****`."""

    __slots__ = ("_kept", "_run")

    def __init__(self, kept: Kept, run: Retrier) -> None:
        self._kept = kept
        self._run = run

    @property
    def number(self) -> int:
        """Counts up for each processor."""
        return self._kept.number

    @property
    def at(self) -> float:
        """When it failed, in seconds since the epoch."""
        return self._kept.at

    @property
    def processor_id(self) -> str:
        """Whose it is."""
        return self._kept.processor_id

    @property
    def input(self) -> object:
        """The element as its source gave it, or as it was edited; assign to edit it."""
        return self._kept.element

    @input.setter  # noqa: A003  (it is its name)
    def input(self, value: object) -> None:
        self._kept.edit(value)

    @property
    def element(self) -> object:
        """The same as `input`."""
        return self._kept.element

    @property
    def original(self) -> object:
        """The element that failed first, whatever it was edited to."""
        return self._kept.original

    @property
    def error(self) -> str:
        """The last error in one line."""
        return self._kept.error

    @property
    def traceback(self) -> str:
        """The last error's traceback as text, from the user's first frame on."""
        return self._kept.traceback

    @property
    def exception(self) -> BaseException | None:
        """The last error, for the last 20 failures of a processor; secrets it quotes are `****`."""
        return self._kept.exception

    @property
    def tries(self) -> int:
        """How often it was tried."""
        return self._kept.tries

    @property
    def origin(self) -> str | None:
        """Where it came from, if the source says so."""
        return self._kept.origin

    @property
    def fate(self) -> str:
        """What became of it: dead-lettered, given back, dropped; later retried or discarded."""
        return self._kept.fate

    def retry(self, edited: object = _SAME) -> list[object]:
        """Run it, or `edited` in its place, through the live code and into the sink.

        Gives the results, with their secrets masked; the sink has them whole. Once it passes, it
        leaves the list of failures.

        Raises:
            UsageError: the processor does not run, or this was retried or discarded already.
            TimeoutError: code or sink did not answer in time; it may still be written.
            Exception: whatever the code raised, of its type, with the secrets that it quotes
                masked; the failure stays, with this error.
        """
        if edited is not _SAME:
            self._kept.edit(edited)
        redone = self._run.redo(self._kept)
        if redone.error is None:
            return list(self._kept.ledger.shown(redone.results))
        error = self._kept.exception or masked_error(redone.error, self._kept.said)
        raise harmless(error).with_traceback(self._kept.trace)

    def discard(self) -> None:
        """Forget it.

        Raises:
            UsageError: it was retried or discarded already.
        """
        self._run.discard(self._kept)

    def reraise(self) -> NoReturn:
        """Raise the kept error as it happened, so that `%debug` opens in the frame that failed.

        Raises:
            UsageError: the error is not kept any more.
            Exception: the error, of its type, with the secrets that it quotes masked.
        """
        error, trace = self._kept.exception, self._kept.trace
        if error is None:
            msg = (
                f"the exception of failure {self.number} of {self.processor_id!r} is not kept (the "
                f"last {EXCEPTIONS} are); .traceback has its text, .retry() runs it again"
            )
            raise UsageError(msg)
        _raise(error, trace)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failed) and other._kept is self._kept

    def __hash__(self) -> int:
        return hash(id(self._kept))

    def __repr__(self) -> str:
        try:
            shown = repr(self.input)
        except Exception as error:  # noqa: BLE001  (a user's own __repr__)
            shown = f"<{type(self.input).__name__}, its repr raised {type(error).__name__}>"
        shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
        return f"<failure {self.number} of {self.processor_id!r}: {self.error}; input {shown}>"


def _raise(error: BaseException, trace: TracebackType | None) -> NoReturn:
    raise harmless(error).with_traceback(trace)
