"""What a person clicked, as the lines that it stands for, oldest first.

A line is a magic, so the clicks of a session can be put into cells and run again.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

__all__ = ("Click", "History")

KEPT = 500  # clicks


@dataclass(frozen=True, slots=True)
class Click:
    """One click; `at` is seconds since the epoch."""

    at: float
    line: str


class History:
    """The last clicks of a session."""

    def __init__(self) -> None:
        self._clicks: deque[Click] = deque(maxlen=KEPT)

    def add(self, line: str) -> None:
        """Note a click."""
        self._clicks.append(Click(time.time(), line))

    @property
    def clicks(self) -> list[Click]:
        """All that is kept."""
        return list(self._clicks)

    def cell(self) -> str:
        """The lines as the source of a cell."""
        return "\n".join(click.line for click in self._clicks)
