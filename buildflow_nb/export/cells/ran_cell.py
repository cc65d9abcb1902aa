"""A cell as the kernel ran it: what export works on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("RanCell",)


@dataclass(frozen=True, slots=True)
class RanCell:
    """The latest source of a cell that ran without an error, and the number in its brackets.

    `failed_since` says that a later source of the same cell failed. `cell_id` is the front end's,
    where it gives one; `at` is when it ran, in seconds since 1970, where that is known.
    """

    source: str
    number: int | None = None
    failed_since: bool = False
    cell_id: str | None = None
    at: float | None = None

    @property
    def label(self) -> str:
        """How a person finds it."""
        return "a cell" if self.number is None else f"cell [{self.number}]"
