"""What a person has opened in a panel: which processor, which tab, which filter; no data of a flow.

It is changed by clicks that look and do nothing, so they are no lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from buildflow_nb.core.options import LOG_LEVELS

__all__ = ("ALL", "TABS", "ViewState")

ALL = "*"  # in the place of a processor: the log of all of them
Changed = dict[str, Any]
TABS = ("elements", "failures", "log", "code", "send")


@dataclass(frozen=True, slots=True)
class ViewState:
    """One state of what is open; `opened` counts how often another thing was."""

    selected: str = ""
    tab: str = "elements"
    level: str = ""
    text: str = ""
    paused: bool = False
    fill: str = ""
    wrong: tuple[str, str] = ("", "")  # a field of the form, and what is wrong with it
    opened: int = 0

    def after(self, act: str, arg: str, value: str) -> ViewState:
        """What is open after a click; a click that means nothing changes nothing."""
        change = _CHANGES.get(act)
        if change is None:
            return self
        opened = self.opened + (act in _OPENS)
        return replace(self, opened=opened, wrong=("", ""), **change(self, arg, value))

    def sent(self, text: str) -> ViewState:
        """After an element was sent: the form keeps what was typed."""
        return replace(self, fill=text, wrong=("", ""))

    def refused(self, field: str, said: str) -> ViewState:
        """After a field was found wrong."""
        return replace(self, wrong=(field, said))


def _select(state: ViewState, arg: str, _value: str) -> Changed:
    same = arg == state.selected
    return {"selected": "" if same else arg, "paused": False, "fill": ""}


def _log(state: ViewState, _arg: str, _value: str) -> Changed:
    return {"selected": "" if state.selected == ALL else ALL, "tab": "log", "paused": False}


_OPENS = ("select", "tab", "failures")
_CHANGES: Mapping[str, Callable[[ViewState, str, str], Changed]] = {
    "select": _select,
    "log": _log,
    "failures": lambda _state, arg, _value: {"selected": arg, "tab": "failures"},
    "tab": lambda state, arg, _value: {"tab": arg if arg in TABS else state.tab, "paused": False},
    "level": lambda _state, _arg, value: {"level": value if value in LOG_LEVELS else ""},
    "text": lambda _state, _arg, value: {"text": value},
    "pause": lambda state, _arg, _value: {"paused": not state.paused},
    "fill": lambda _state, _arg, value: {"fill": value},
    "close": lambda _state, _arg, _value: {"selected": ""},
}
