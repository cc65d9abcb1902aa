"""What is to be said of an export before anything is written: what refuses it, and what to look at.

All of it is collected first, so that a person hears everything at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from buildflow_nb.core.errors import UsageError

__all__ = ("ExportError", "Messages")


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
class Messages:
    """Refusals and warnings, each once; they are said in the order of the cells, by `labels`."""

    refusals: dict[str, None] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)

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
            warnings = tuple(masked(text) for text in self.in_order(self.warnings))
            raise ExportError(tuple(map(masked, self.in_order(self.refusals))), warnings)

    def in_order(self, texts: Iterable[str]) -> list[str]:
        """By cell and line; what is said of no cell comes last."""
        places = {label: at for at, label in enumerate(self.labels)}

        def place(text: str) -> tuple[int, int]:
            label, _, rest = text.partition(" line ")
            line = rest.partition(":")[0]
            return places.get(label, len(places)), int(line) if line.isdecimal() else 0

        return sorted(texts, key=place)
