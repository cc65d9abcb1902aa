"""What a person has opened in a panel: which processor, which tab, which filter; no data of a flow.

It is changed by clicks that look and do nothing, so they are no lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from buildflow_nb.core.options import LOG_LEVELS

__all__ = ("ALL", "TABS", "Look")

ALL = "*"  # in the place of a processor: the log of all of them
Changed = dict[str, Any]
TABS = ("elements", "failures", "log", "code", "send")


@dataclass(frozen=True, slots=True)
class Look:
    """One state of what is open; `opened` counts how often another thing was."""

    selected: str = ""
    tab: str = "elements"
    level: str = ""
    text: str = ""
    paused: bool = False
    fill: str = ""
    wrong: tuple[str, str] = ("", "")  # a field of the form, and what is wrong with it
    opened: int = 0

    def after(self, act: str, arg: str, value: str) -> Look:
        """What is open after a click; a click that means nothing changes nothing."""
        change = _CHANGES.get(act)
        if change is None:
            return self
        opened = self.opened + (act in _OPENS)
        return replace(self, opened=opened, wrong=("", ""), **change(self, arg, value))

    def sent(self, text: str) -> Look:
        """After an element was sent: the form keeps what was typed."""
        return replace(self, fill=text, wrong=("", ""))

    def refused(self, field: str, said: str) -> Look:
        """After a field was found wrong."""
        return replace(self, wrong=(field, said))


def _select(look: Look, arg: str, _value: str) -> Changed:
    same = arg == look.selected
    return {"selected": "" if same else arg, "paused": False, "fill": ""}


def _log(look: Look, _arg: str, _value: str) -> Changed:
    return {"selected": "" if look.selected == ALL else ALL, "tab": "log", "paused": False}


_OPENS = ("select", "tab", "failures")
_CHANGES: Mapping[str, Callable[[Look, str, str], Changed]] = {
    "select": _select,
    "log": _log,
    "failures": lambda _look, arg, _value: {"selected": arg, "tab": "failures"},
    "tab": lambda look, arg, _value: {"tab": arg if arg in TABS else look.tab, "paused": False},
    "level": lambda _look, _arg, value: {"level": value if value in LOG_LEVELS else ""},
    "text": lambda _look, _arg, value: {"text": value},
    "pause": lambda look, _arg, _value: {"paused": not look.paused},
    "fill": lambda _look, _arg, value: {"fill": value},
    "close": lambda _look, _arg, _value: {"selected": ""},
}
