"""A source that hands out the same elements again and again, for trying a flow out."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Self

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Batch, Env, PrimitiveId, Source, Wire, label_of

__all__ = ("CycleSource", "Pulse", "fingerprint")

SHOWN = 20  # items that make the name; reading all of a long list at every look would be slow


def _checked_items(owner: str, items: Iterable[Any], interval_s: float) -> Iterable[Any]:
    """The items, a list as a tuple, so that what was declared cannot change later.

    Raises:
        DeclarationError: they cannot be iterated, are none, or the interval is no duration.
    """
    number = isinstance(interval_s, (int, float)) and not isinstance(interval_s, bool)
    if not number or not math.isfinite(interval_s) or interval_s < 0:
        msg = f"{owner}: pulse_interval_seconds must be 0 or more seconds, got {interval_s!r}"
        raise DeclarationError(msg)
    if not isinstance(items, Iterable):
        msg = f"{owner}: items must be a list or another iterable, got {type(items).__name__}"
        raise DeclarationError(msg)
    if isinstance(items, list):
        items = tuple(items)
    if isinstance(items, Sized) and len(items) == 0:
        msg = f"{owner}: items is empty; give at least one"
        raise DeclarationError(msg)
    return items


def fingerprint(items: Iterable[Any], *rest: object) -> str:
    """A short name, equal for equal configurations whose items have a telling repr."""
    if isinstance(items, tuple):
        shown = f"{len(items)} {list(islice(items, SHOWN))!r}"
    else:
        shown = repr(items)
    return hashlib.blake2s(f"{shown} {rest!r}".encode(), digest_size=4).hexdigest()


_NOTHING = object()


class CycleSource:
    """One element a pull, the first at once; begins again where the iterable allows it.

    A list, a range or any collection cycles for ever; a generator or another iterator is handed
    out as it comes and ends the source at its end.
    """

    def __init__(self, items: Iterable[object], interval_s: float, backlog: int | None) -> None:
        self._items = items
        self._interval_s = interval_s
        self._backlog = backlog
        self._iterator: Iterator[object] = iter(items)
        self._due: float | None = None
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True

    async def pull(self) -> Batch | None:
        """Wait until the next element is due, then take it."""
        loop = asyncio.get_running_loop()
        wait = 0.0 if self._due is None else self._due - loop.time()
        await asyncio.sleep(max(0.0, wait))  # with 0 it lets the loop go round
        found = _NOTHING if self._ended else self._take()
        if found is _NOTHING:
            self._ended = True
            return None
        self._due = loop.time() + self._interval_s
        return Batch((found,))

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Nothing to do: there are no receipts."""

    async def backlog(self) -> int | None:
        """What was declared; an endless source has none of its own."""
        return self._backlog

    def _take(self) -> object:
        found = next(self._iterator, _NOTHING)
        if found is _NOTHING:
            self._iterator = iter(self._items)  # an iterator gives itself and stays at its end
            found = next(self._iterator, _NOTHING)
        return found


@dataclass(frozen=True, slots=True)
class Pulse(Injectable):
    """Hands out `items` one by one, `pulse_interval_seconds` apart, and begins again at their end.

    A generator or another iterator is handed out once, to its end. Elements are passed as they are.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.OBJECT
    max_pullers: ClassVar[int] = 1  # it has one cursor

    items: Iterable[Any]
    pulse_interval_seconds: float

    def __post_init__(self) -> None:
        items = _checked_items(type(self).__name__, self.items, self.pulse_interval_seconds)
        object.__setattr__(self, "items", items)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The same for equal items and intervals."""
        return PrimitiveId(f"pulse-{fingerprint(self.items, self.pulse_interval_seconds)}")

    @property
    def label(self) -> str:
        """How often it beats."""
        return f"every {self.pulse_interval_seconds:g} s"

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:  # noqa: ARG002
        """Open a source that starts with the first item."""
        return CycleSource(self.items, self.pulse_interval_seconds, backlog=None)

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Nothing can be wrong with it."""
        return [Finding(label_of(self), Health.OK, "is part of this process")]
