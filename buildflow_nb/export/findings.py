"""What is to be said of an export before anything is written: what refuses it, and what to look at.

All of it is collected first, so that a person hears everything at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from buildflow_nb.core.errors import UsageError

__all__ = ("ExportError", "Findings")


class ExportError(UsageError):
    """A notebook cannot be exported: `reasons` stand against it, `warnings` are said besides."""

    def __init__(self, reasons: tuple[str, ...], warnings: tuple[str, ...] = ()) -> None:
        if len(reasons) == 1:
            text = reasons[0]
        else:
            lines = "\n".join(f"  {reason}" for reason in reasons)
            text = f"{len(reasons)} things stand against this export, and nothing was written:\n"
            text += lines
        if warnings:
            text += "".join(["\nand look at:", *(f"\n  {warning}" for warning in warnings)])
        super().__init__(text)
        self.reasons = reasons
        self.warnings = warnings


@dataclass(slots=True)
class Findings:
    """Refusals and warnings, each once, in the order in which they were found."""

    refusals: dict[str, None] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)

    def refuse(self, text: str) -> None:
        """Something that stands against the export."""
        self.refusals[text] = None

    def warn(self, text: str) -> None:
        """Something that a person should look at."""
        self.warnings[text] = None

    def stop(self, masked: Callable[[str], str]) -> None:
        """End here if anything stands against the export; `masked` hides secrets in what is said.

        Raises:
            ExportError: with all of it.
        """
        if self.refusals:
            warnings = tuple(masked(text) for text in self.warnings)
            raise ExportError(tuple(masked(text) for text in self.refusals), warnings)
