"""How far a source with a cursor column has been worked off: a value of the column, as text.

A value is reached once every row up to it is done, and rows that share it count together, since
the next query asks for what is greater. What failed and was given back holds the position: it is
read again by the next run, with what came behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("CursorPosition",)


class CursorPosition:
    """Elements are numbered as they are read; `reached` is the value that all are done up to."""

    def __init__(self, reached: str | None) -> None:
        self._undone: dict[int, str | None] = {}  # by number, what was complete before it
        self._before: str | None = reached  # the last value before the one that is read now
        self._value: str | None = reached
        self._next = 0
        self._over = True

    def read(self, values: Sequence[str | None]) -> list[int]:
        """Note rows that were read, by their values of the column; gives their numbers."""
        numbers = []
        self._over = False
        for value in values:
            if value != self._value:
                self._before, self._value = self._value, value
            self._undone[self._next] = self._before
            numbers.append(self._next)
            self._next += 1
        return numbers

    def ended(self) -> None:
        """Note that the query has no more rows for now, so the last value is complete."""
        self._over = True
        self._before = self._value

    def settle(self, numbers: Sequence[int]) -> None:
        """Note what is done."""
        for number in numbers:
            self._undone.pop(number, None)

    @property
    def read_on(self) -> str | None:
        """The value behind which the next query begins: all up to it was read."""
        return self._value if self._over else self._before

    @property
    def reached(self) -> str | None:
        """The value up to which all is done."""
        if self._undone:
            return next(iter(self._undone.values()))
        return self._value if self._over else self._before
