"""The log of one processor, or of all: the last lines that pass a filter, paused or going on.

Only the lines that can be seen are sent, so a flood costs the page and the wire as much as a
trickle. All that is kept can be taken as a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from buildflow_nb.cockpit.panel.view_state import ALL, ViewState
from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.options import LOG_LEVELS
from buildflow_nb.core.project_folder import write_whole
from buildflow_nb.core.surroundings import kernel
from buildflow_nb.flow import Flow
from buildflow_nb.runtime.observability.logs import LOG_LINES, LogLine

__all__ = ("LogView", "as_file", "lines_of", "rank", "saved")

SHOWN = 200  # lines on the page
LONGEST = 500  # characters of a line on the page; the file has all of it
MOST_LETTERS = 20_000  # of an update
FRAME = 60  # letters around the text of a line
FLOOD = 50  # new lines between two looks that nobody can listen to
_ELSEWHERE = "nothing was logged; what a program prints goes to its terminal"
_OUTPUT_LEVELS = {"PRINT": "INFO", "STDERR": "WARNING"}  # where printed lines rank among records
_TONES = {"WARNING": "warn", "STDERR": "warn", "ERROR": "err", "CRITICAL": "err"}
_MARKS = {"WARNING": "▲", "STDERR": "▲", "ERROR": "✕", "CRITICAL": "✕"}
Named = tuple[str, LogLine]


def rank(level: str) -> int:
    """Where a level stands among the others; what is unknown counts as the highest."""
    level = _OUTPUT_LEVELS.get(level, level)
    return LOG_LEVELS.index(level) if level in LOG_LEVELS else len(LOG_LEVELS)


def lines_of(flow: Flow, processor_id: str, level: str = "", text: str = "") -> list[Named]:
    """The lines of a processor (ALL: of every one) from a level on that hold a text, in order."""
    names = list(flow.processors) if processor_id == ALL else [processor_id]
    least, wanted = LOG_LEVELS.index(level) if level else -1, text.casefold()
    found = [
        (name, line)
        for name in names
        for line in flow.logs(name)
        if rank(line.level) >= least and wanted in line.text.casefold()
    ]
    if len(names) > 1:
        found.sort(key=lambda pair: pair[1].at)
    return found


@dataclass
class LogView:
    """What the page was shown last, which a pause keeps."""

    _lines: Sequence[Named] = ()
    _matched: int = 0
    _newest: float = 0.0

    def html(self, flow: Flow, state: ViewState) -> str:
        """Filter, buttons and lines."""
        fresh = 0
        if not state.paused:
            found = lines_of(flow, state.selected, state.level, state.text)
            fresh = sum(line.at > self._newest for _, line in found[-FLOOD - 1 :])
            self._newest = found[-1][1].at if found else self._newest
            self._lines, self._matched = _seen(found), len(found)
        bar = _bar(state, self._matched, len(self._lines))
        return bar + _lines(self._lines, state, flood=fresh > FLOOD)


def as_file(lines: Sequence[Named]) -> str:
    """Lines as text, whole."""
    return "".join(
        f"{formats.dated(line.at)} {line.level:<8} {name}  {formats.clean(line.text)}\n"
        for name, line in lines
    )


def saved(lines: Sequence[Named], path: str) -> None:
    """Write lines into a file, for its owner alone.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        write_whole(Path(path).expanduser(), as_file(lines).encode("utf-8", "replace"))
    except (OSError, RuntimeError) as error:
        msg = f"the log cannot be written to {path}: {error}"
        raise UsageError(msg) from error


def _seen(found: Sequence[Named]) -> Sequence[Named]:
    """The last lines, as many as a page is told at once."""
    left = MOST_LETTERS
    for i, (_, line) in enumerate(reversed(found[-SHOWN:])):
        left -= min(len(line.text), LONGEST) + FRAME
        if left < 0:
            return found[-i:] if i else found[-1:]
    return found[-SHOWN:]


def _bar(state: ViewState, matched: int, shown: int) -> str:
    options = "".join(
        f"<option{markup.attributes(value=level, selected=level == state.level)}>"
        f"{level or 'all levels'}</option>"
        for level in ("", *LOG_LEVELS)
    )
    chosen = markup.attributes(data_act="level", aria_label="lowest level")
    level = f"<select{chosen}>{options}</select>"
    field = markup.attributes(
        type="search",
        value=state.text,
        data_act="text",
        placeholder="filter …",
        aria_label="text that lines must hold",
    )
    pause = markup.button(
        "Go on" if state.paused else "Pause", "pause", aria_pressed=str(state.paused).lower()
    )
    more = f", last {shown} shown" if matched > shown else ""
    kept = f'<span class="mute">{matched:,} lines{more}; {LOG_LINES:,} are kept</span>'
    save = markup.button("Download", "download", state.selected)
    return (
        f'<div class="row pad">{level}<input{field}>{pause}{save}'
        f'<span class="grow"></span>{kept}</div>'
    )


def _lines(lines: Sequence[Named], state: ViewState, *, flood: bool) -> str:
    rows = "\n".join(_line(name, line, named=state.selected == ALL) for name, line in lines)
    named = markup.attributes(
        class_="log wrap",
        role="log",
        tabindex=0,
        aria_label="log",
        aria_live="off" if flood or state.paused else "polite",  # nobody can listen to a flood
        data_tail=True,
    )
    nothing = "nothing was printed or logged" if kernel() else _ELSEWHERE
    return f"<pre{named}>{rows or f'<span class=mute>{nothing}</span>'}</pre>"


def _line(name: str, line: LogLine, *, named: bool) -> str:
    mark, tone = _MARKS.get(line.level, " "), _TONES.get(line.level, "mute")
    who = f"{quote(name)} " if named else ""
    return (
        f"{formats.clock(line.at)} <span class={tone}>{mark} {quote(line.level):<8}</span> "
        f"{who}{quote(line.text, LONGEST)}"
    )
