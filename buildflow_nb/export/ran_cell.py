"""A cell as the kernel ran it: what export works on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("RanCell",)


@dataclass(frozen=True, slots=True)
class RanCell:
    """The latest source of a cell that ran without an error, and the number in its brackets.

    `failed_since` says that a later source of the same cell failed.
    """

    source: str
    number: int | None = None
    failed_since: bool = False

    @property
    def label(self) -> str:
        """How a person finds it."""
        return "a cell" if self.number is None else f"cell [{self.number}]"
