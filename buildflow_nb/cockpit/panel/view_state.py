"""What a person has opened in a panel: which processor, which tab, which filter; no data of a flow.

It is changed by clicks that look and do nothing. Each of them can be said by a line, too: `line`
gives the one that opens a panel as it is now, and `state_of` reads it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from buildflow_nb.cockpit.views.elements_view import WHICH
from buildflow_nb.cockpit.views.graph_drawing import Folds
from buildflow_nb.cockpit.views.processors_table import COLUMNS, Order
from buildflow_nb.commands.parsing import LINE
from buildflow_nb.core.options import LOG_LEVELS

__all__ = ("ALL", "SPANS", "TABS", "ViewState", "state_of")

ALL = "*"  # in the place of a processor: the log of all of them
Changed = dict[str, Any]
TABS = ("failures", "elements", "trace", "chart", "code", "log", "try", "profile")
SPANS = ("10m", "1h", "24h")
_OFFERED = ("", "fails", "waits")


@dataclass(frozen=True, slots=True)
class ViewState:
    """One state of what is open; `opened` counts how often another thing was.

    `first` is the first row of the table that is in sight. `resource` is the key of a primitive
    whose page is open, `prefix` and `object` where in it one is.
    """

    selected: str = ""
    tab: str = "elements"
    sort: str = "state"
    query: str = ""
    only: str = ""
    unfolded: bool = False
    folded: frozenset[str] = frozenset()  # lanes of the graph
    group: str = ""  # of failures
    which: str = "all"  # of the elements
    find: str = ""
    trace: str = ""
    span: str = "10m"
    level: str = ""
    text: str = ""
    resource: str = ""
    prefix: str = ""
    object: str = ""
    paused: bool = False
    keys: bool = False
    held: bool = False  # a pointer is over the table: its rows stay where they are
    first: int = 0
    fill: str = ""
    wrong: tuple[str, str] = ("", "")  # a field of the form, and what is wrong with it
    opened: int = 0

    @property
    def order(self) -> Order:
        """What the table is sorted by and filtered to."""
        return Order(self.sort, self.query, self.only)

    @property
    def folds(self) -> Folds:
        """What of the graph is folded."""
        return Folds(self.folded, self.unfolded, self.query, self.selected)

    @property
    def line(self) -> str:
        """The line that opens a panel like this one."""
        words = [f"{LINE} panel"]
        for name, option in _SAID.items():
            value = getattr(self, name)
            if value == getattr(_PLAIN, name) or (name == "tab" and not self.selected):
                continue
            if isinstance(value, bool):
                words.append(option)
            else:
                several = sorted(value) if isinstance(value, frozenset) else [value]
                words += [f"{option} {shlex.quote(str(each))}" for each in several]
        return " ".join(words)

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


_PLAIN = ViewState()
_SAID = {  # fields that a line can say, by the option of `%buildflow panel`
    "selected": "--open",
    "tab": "--tab",
    "sort": "--sort",
    "query": "--query",
    "only": "--only",
    "unfolded": "--unfold",
    "folded": "--fold",
    "group": "--group",
    "which": "--which",
    "find": "--find",
    "trace": "--trace",
    "span": "--span",
    "level": "--level",
    "text": "--text",
    "resource": "--look",
    "prefix": "--prefix",
    "object": "--object",
}


def state_of(values: Mapping[str, Any]) -> ViewState:
    """What the options of `%buildflow panel` open."""
    found: Changed = {}
    for name, option in _SAID.items():
        value = values.get(option.removeprefix("--"))
        if value:
            found[name] = frozenset(value) if name == "folded" else value
    return ViewState(**found)


def _select(state: ViewState, arg: str, _value: str) -> Changed:
    same = arg == state.selected
    return {"selected": "" if same else arg, "paused": False, "fill": "", "group": "", "trace": ""}


def _open(tab: str) -> Callable[[ViewState, str, str], Changed]:
    return lambda _state, arg, _value: {"selected": arg, "tab": tab, "paused": False, "fill": ""}


def _log(state: ViewState, _arg: str, _value: str) -> Changed:
    return {"selected": "" if state.selected == ALL else ALL, "tab": "log", "paused": False}


def _lane(state: ViewState, arg: str, _value: str) -> Changed:
    return {"folded": state.folded ^ {arg}}


def _trace(_state: ViewState, arg: str, _value: str) -> Changed:
    """`arg` is "PROCESSOR ID"."""
    processor, _, trace = arg.rpartition(" ")
    opened = {"selected": processor} if processor else {}
    return {**opened, "tab": "trace", "trace": trace}


def _look(state: ViewState, arg: str, value: str) -> Changed:
    """`value` is where in it: "prefix:…" or "object:…"; what is typed is a prefix."""
    kind, _, place = value.partition(":")
    if kind not in ("prefix", "object"):
        kind, place = "prefix", value
    same = arg == state.resource and not value
    return {
        "resource": "" if same else arg,
        "prefix": place if kind == "prefix" else state.prefix if kind == "object" else "",
        "object": place if kind == "object" else "",
    }


def _one_of(offered: Any, name: str) -> Callable[[ViewState, str, str], Changed]:
    """A change of a field to one of what is offered; anything else changes nothing."""
    return lambda state, arg, _value: {name: arg if arg in offered else getattr(state, name)}


def _first(_state: ViewState, _arg: str, value: str) -> Changed:
    return {"first": int(value)} if value.isascii() and value.isdigit() else {}


_OPENS = ("select", "tab", "failures", "group", "look", "trace")
_CHANGES: Mapping[str, Callable[[ViewState, str, str], Changed]] = {
    "select": _select,
    "log": _log,
    "failures": _open("failures"),
    "chart": _open("chart"),
    "trace": _trace,
    "tab": lambda state, arg, _value: {"tab": arg if arg in TABS else state.tab, "paused": False},
    "group": lambda _state, arg, _value: {"group": arg},
    "which": _one_of(WHICH, "which"),
    "find": lambda _state, _arg, value: {"find": value},
    "span": _one_of(SPANS, "span"),
    "sort": _one_of(COLUMNS, "sort"),
    "query": lambda _state, _arg, value: {"query": value, "first": 0},
    "only": _one_of(_OFFERED, "only"),
    "unfold": lambda state, _arg, _value: {"unfolded": not state.unfolded},
    "lane": _lane,
    "look": _look,
    "close-look": lambda _state, _arg, _value: {"resource": "", "prefix": "", "object": ""},
    "level": lambda _state, arg, value: {
        "level": next((v for v in (value, arg) if v in LOG_LEVELS), "")
    },
    "text": lambda _state, _arg, value: {"text": value},
    "pause": lambda state, _arg, _value: {"paused": not state.paused},
    "fill": lambda _state, _arg, value: {"fill": value},
    "hold": lambda _state, _arg, value: {"held": value == "1"},
    "rows": _first,
    "keys": lambda state, _arg, _value: {"keys": not state.keys},
    "close": lambda _state, _arg, _value: {"selected": "", "keys": False},
}
