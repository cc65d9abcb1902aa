"""A replay, old and new side by side: what differs first, told by a word and a shape, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buildflow_nb.cockpit.views import formats
from buildflow_nb.cockpit.views.listings import MOST_ROWS, Listing
from buildflow_nb.cockpit.views.markup import Cell
from buildflow_nb.runtime.replay import Replay, Replayed

__all__ = ("SideBySide",)

_SHAPES = {"unreadable": "?", "failed": "✕", "different": "≠", "same": "="}
_TONES = {"unreadable": "err", "failed": "err", "different": "warn", "same": "mute"}
_ORDER = tuple(_SHAPES)


class SideBySide(Listing[Replayed]):
    """Recorded inputs with what they gave then and what they give now."""

    heads = ("no.", "verdict", "took", "input", "then", "now")
    left = 3

    def __init__(self, replay: Replay) -> None:
        found = sorted(replay, key=lambda row: (_ORDER.index(_verdict(row)), row.number))
        super().__init__(found, replay.summary)
        self.replay = replay

    def row(self, record: Replayed) -> tuple[str, ...]:
        """Number, verdict, time, input, what it gave then, what it gives now."""
        verdict = _verdict(record)
        told = f"{_SHAPES[verdict]} {verdict}"
        if record.damaged:
            why = formats.clean(record.error, formats.LONGEST)
            return (
                str(record.number),
                told,
                formats.NOTHING,
                why,
                formats.NOTHING,
                formats.NOTHING,
            )
        return (
            str(record.number),
            told,
            formats.latency(record.seconds),
            formats.shown(record.input),
            _outcome(record.old, record.old_error),
            _outcome(record.new, record.error),
        )

    def _cells(self, record: Replayed) -> list[Cell]:
        cells = super()._cells(record)
        cells[1] = (cells[1][0], f"l {_TONES[_verdict(record)]}")
        return cells

    def _last(self) -> list[Replayed]:
        return self[:MOST_ROWS]  # what differs stands first

    def _counted(self) -> str:
        more = f" (first {MOST_ROWS} shown)" if len(self) > MOST_ROWS else ""
        return f"{self.title}{more}"


def _verdict(row: Replayed) -> str:
    if row.damaged:
        return "unreadable"
    if row.same:
        return "same"
    return "failed" if row.error else "different"


def _outcome(results: Sequence[Any], error: str) -> str:
    if error:
        return f"✕ {formats.clean(error, formats.LONGEST)}"
    shown = ", ".join(formats.shown(result) for result in results)
    return formats.clean(shown, formats.LONGEST) or "dropped"
