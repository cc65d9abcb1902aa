"""A cell as the kernel ran it: what export works on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("RanCell", "label_of")


@dataclass(frozen=True, slots=True)
class RanCell:
    """The latest source of a cell that ran without an error, and the number in its brackets.

    `failed_since` says that a later source of the same cell failed, `failed` that none of it has
    ever run without an error. `cell_id` is the front end's,
    where it gives one; `at` is when it ran, in seconds since 1970, where that is known.
    """

    source: str
    number: int | None = None
    failed_since: bool = False
    cell_id: str | None = None
    at: float | None = None
    failed: bool = False

    @property
    def label(self) -> str:
        """How a person finds it."""
        return label_of(self.number)


def label_of(number: int | None, place: int | None = None) -> str:
    """A cell by what stands in its brackets; by its `place` among the cells of code, too.

    The place is told where the brackets alone do not say which cell it is.
    """
    shown = f"cell [{' ' if number is None else number}]"
    return shown if place is None else f"{shown} (code cell no. {place})"
