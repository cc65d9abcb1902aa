"""A failure as its ledger keeps it: the real element, what a person may see of it, and the error.

The element that failed is never lost: an edit stands beside it, and a retry that fails again only
renews the error. Only the last `EXCEPTIONS` failures of a processor keep the error itself, with
its frames, since those keep what the user's code had in its hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.core.status.snapshot import Failure
from buildflow_nb.runtime.observability.masked_error import masked_error
from buildflow_nb.runtime.observability.tracebacks import cut, describe

if TYPE_CHECKING:
    from buildflow_nb.runtime.observability.ledger import Ledger

__all__ = ("EXCEPTIONS", "Again", "Fault", "Kept")

EXCEPTIONS = 20  # errors kept with their frames, for each processor


@dataclass(frozen=True, slots=True)
class Fault:
    """An element that failed, before it is decided what becomes of it.

    `call` holds the arguments of a route by name, where it can be called with them again.
    """

    element: object
    error: BaseException
    tries: int
    origin: str | None = None
    call: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be run again: an element as it came, or as a person edited it."""

    element: object
    edited: bool
    call: Mapping[str, object] | None = None


class Kept:
    """One failure; changed on the loop, but for `value`, which a person sets."""

    def __init__(self, ledger: Ledger, number: int, fault: Fault, fate: str) -> None:
        self.ledger = ledger
        self.number = number
        self.at = ledger.clock.time()
        self.origin = fault.origin
        self.tries = fault.tries
        self.fate = fate
        self.busy = False
        self.settled = False
        self.raw = fault.element
        self._call = fault.call
        self._edited: tuple[object] | None = None
        self._shown: tuple[object] | None = None
        self.exception: BaseException | None = None
        self.trace: TracebackType | None = None
        self.error = self.traceback = ""
        self._note(fault.error)

    @property
    def processor_id(self) -> str:
        """Whose it is."""
        return self.ledger.processor_id

    @property
    def element(self) -> object:
        """The input as a person may see and edit it: the element itself, unless it has secrets."""
        if self._shown is None:
            redaction = self.ledger.redaction
            if self._edited is not None:
                self._shown = (redaction.element(self._edited[0]),)
            else:
                self._shown = (redaction.raw(self.raw),)
        return self._shown[0]

    @property
    def original(self) -> object:
        """The input that failed first, as a person may see it."""
        return self.ledger.redaction.raw(self.raw)

    def edit(self, value: object) -> None:
        """Let another value take the element's place when it is retried."""
        self._edited, self._shown = (self.ledger.redaction.restored(value, self.raw),), None

    def again(self) -> Again:
        """What to run."""
        self._take_over_edits()
        if self._edited is not None:
            return Again(self._edited[0], edited=True)
        return Again(self.raw, edited=False, call=self._call)

    def renew(self, error: BaseException) -> None:
        """It failed again."""
        self.tries += 1
        self.ledger.keep_exception(self)
        self._note(error)

    def settle(self, fate: str) -> None:
        """It is dealt with, and leaves the list."""
        self.settled, self.fate = True, fate
        self.forget_exception()
        self.ledger.forget(self)

    def forget_exception(self) -> None:
        """Let go of the error and of the frames that it holds; its text stays."""
        self.exception = self.trace = None

    def refuse_settled(self) -> None:
        """Nothing is done twice by mistake.

        Raises:
            UsageError: it was retried or discarded already, or is being retried.
        """
        name = f"failure {self.number} of {self.processor_id!r}"
        if self.settled:
            msg = (
                f"{name} is {self.fate} already; app.failures({self.processor_id!r}) lists the rest"
            )
            raise UsageError(msg)
        if self.busy:
            msg = f"{name} is being retried at this moment; wait for that to end"
            raise UsageError(msg)

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
        )

    def said(self, text: str) -> str:
        """A text about this element, without secrets."""
        return self.ledger.said(text, self.raw if self._edited is None else self._edited[0])

    def _take_over_edits(self) -> None:
        """What is shown of a secret element is a copy; changes made to it in place count, too."""
        if self._shown is None:
            return
        redaction, shown = self.ledger.redaction, self._shown[0]
        if self._edited is not None:
            base, untouched = self._edited[0], redaction.element(self._edited[0])
        else:
            base, untouched = self.raw, redaction.raw(self.raw)
        if shown is not base and not _equal(shown, untouched):
            self.edit(shown)

    def _note(self, error: BaseException) -> None:
        text = cut(error)
        self.error, self.traceback = self.said(describe(error)), self.said(text)
        if self.ledger.redaction.secret:
            _drop_quoted(error)
        if self.ledger.redaction.secret or self.ledger.log.hidden is not None:
            error = masked_error(error, self.said)
        self.exception, self.trace = error, error.__traceback__


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  (arrays, and whatever a user's class does)
        return False


def _drop_quoted(error: BaseException) -> None:
    """A converter's error quotes the element; ours, which stands before it, names the field."""
    if isinstance(error, ConversionError):
        error.__cause__ = error.__context__ = None
