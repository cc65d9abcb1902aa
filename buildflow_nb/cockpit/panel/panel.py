"""The panel: one page's view of a flow, with its graph, its numbers, its drawer and its buttons.

It is a list of named pieces of HTML, each a pure function of the flow's snapshot and of what a
person has opened; a piece named `slot/key` stands in the slot of that name of another piece, in
order. Whoever shows it sends the pieces that are new, and no others. Clicks arrive on the kernel's
message loop, on a subshell's beside the cell that runs, or from a socket, and return at once:
looking changes what is open, doing puts a line into the click queue.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.drawer import Drawer
from buildflow_nb.cockpit.panel.resource_pages import ResourcePages
from buildflow_nb.cockpit.panel.rows import Rows
from buildflow_nb.cockpit.panel.uploads import kept
from buildflow_nb.cockpit.panel.view_state import ALL, ViewState
from buildflow_nb.cockpit.views import formats, markup, snapshot_view
from buildflow_nb.cockpit.views.form import FieldError, line_of
from buildflow_nb.cockpit.views.graph import Graph, Node, graph_of
from buildflow_nb.cockpit.views.graph_drawing import Badge
from buildflow_nb.cockpit.views.graph_view import graph_html
from buildflow_nb.cockpit.views.head_view import (
    HeadFacts,
    Toast,
    head_html,
    health_html,
    health_words,
    keys_html,
)
from buildflow_nb.cockpit.views.log_view import as_file, lines_of
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.operation_html import operation_html
from buildflow_nb.core.declaring.flow_spec import FlowSpec
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.core.status.stack_view import StackView
from buildflow_nb.flow import Flow

__all__ = ("KEYS", "VOLATILE", "Panel", "graph_of_flow", "twin_html")

STACK_S = 2.0  # between two looks at the stack's state
VOLATILE = ("silent", "foot")  # parts that hold the time of the look, and nothing else that is new
KEYS = (
    ("Tab", "to the next name, node, head or button"),
    ("Enter", "opens what has the focus"),
    ("Escape", "closes the drawer, and goes back to its row"),
    ("← →", "the tabs of a drawer"),
    ("/", "search"),
    ("n", "the next processor that fails"),
    ("?", "these keys"),
)


@dataclass
class Panel:
    """What one view shows; `cell` says where it stands, `tell` sends a message to the page."""

    cockpit: Cockpit
    cell: str
    changed: Callable[[], None]
    tell: Callable[..., None] = lambda **_: None
    state: ViewState = field(default_factory=ViewState)
    _graph: tuple[tuple[object, ...], Graph] | None = None
    _stack: tuple[float, StackView] | None = None

    def __post_init__(self) -> None:
        self._acting = threading.Lock()
        self.drawer = Drawer(self.cockpit)
        self._rows = Rows(self.cockpit)
        self._pages = ResourcePages(self.cockpit)

    # -- what it shows ---------------------------------------------------------------------------

    def parts(self, snapshot: FlowSnapshot) -> dict[str, str]:
        """Every piece's HTML, in order."""
        flow, state = self.cockpit.flow(), self.state
        self.drawer.note_code(flow)
        graph = graph_html(
            self._graph_of(flow.spec()),
            snapshot,
            badge_of(self._stack_of(flow)),
            folds=state.folds,
        )
        parts = {
            "silent": _silent(snapshot.at),
            "head": self._head(flow, snapshot),
            "health": self._health(flow, snapshot),
            "keys": keys_html(KEYS) if state.keys else "",
            "operation": operation_html(self.cockpit.operations),
            "found": self._found(),
            "log": self.drawer.log_of_all(flow, state),
            "tools": "",
            "graph": graph,
            "resource": self._pages.html(flow, state.resource, state.prefix, state.object),
        }
        parts |= self._rows.parts(snapshot, state)
        spec = flow.processors.get(state.selected)
        if spec is not None and "rows/ drawer" in parts:
            parts |= self.drawer.parts(flow, spec, state, snapshot.processor(spec.id))
        parts["foot"] = self._foot(snapshot)
        return parts

    def without_flow(self, why: str) -> dict[str, str]:
        """The parts that say why there is no flow to show now; the others stay as they were."""
        said = health_html("err", "no flow", why, ("", ""), None)
        return {"silent": _silent(time.time()), "health": said}

    def _graph_of(self, spec: FlowSpec) -> Graph:
        """The graph, laid out anew only when another thing is declared."""
        key = (*spec.processors.values(), *spec.managed)
        if self._graph is None or not _same(self._graph[0], key):
            self._graph = (key, graph_of(spec))
        return self._graph[1]

    def _stack_of(self, flow: Flow) -> StackView:
        """What the stack has; read from the disk now and then, not four times a second."""
        now = time.monotonic()
        if self._stack is None or now - self._stack[0] > STACK_S:
            self._stack = (now, flow.stack_view())
        return self._stack[1]

    def _head(self, flow: Flow, snapshot: FlowSnapshot) -> str:
        runs = flow.handle is not None and flow.handle.running
        view = self._stack_of(flow)
        changes = None if view.unknown else len(view.missing) + len(view.undeclared)
        facts = HeadFacts(
            owner=flow.identity,
            folder="" if self.cockpit.export is None else shlex.quote(_folder(flow.flow_id)),
            runs=runs,
            changes=changes,
            logs=self.state.selected == ALL,
            cell=self.cockpit.cell(),
        )
        return head_html(snapshot, facts, self.cockpit.clicks.off)

    def _health(self, flow: Flow, snapshot: FlowSnapshot) -> str:
        clicks = self.cockpit.clicks
        toast = Toast(clicks.news, clicks.tone) if clicks.news else None
        return health_html(*health_words(flow.health(snapshot)), toast)

    def _found(self) -> str:
        """What the last check or replay gave."""
        found = self.cockpit.found
        if found is None:
            return ""
        close = markup.button("✕", "close-found", class_="s quiet", aria_label="close the table")
        return (
            f'<div class="box pad" data-view><div class="row"><span class="grow"></span>{close}'
            f'</div><div class="tall" tabindex="0">{markup.without_style(found._repr_html_())}'
            "</div></div>"
        )

    def _foot(self, snapshot: FlowSnapshot) -> str:
        clicks = self.cockpit.clicks
        last = markup.live("copy the last click as a cell", clicks.last) if clicks.last else ""
        view = markup.live("copy this view as a cell", self.state.line)
        keys = markup.button("? keys", "keys", class_="text link")
        return (
            f'<footer><span>{last or view}</span><span class="grow"></span>'
            f"<span>live in {quote(self.cell)}</span><span>updated {formats.clock(snapshot.at)}"
            f"</span>{keys}</footer>"
        )

    # -- what is clicked -------------------------------------------------------------------------

    def act(self, message: Mapping[str, Any]) -> None:
        """Take a click from the page; returns at once."""
        act, arg = str(message["act"]), str(message.get("arg", ""))
        fields = message.get("fields")
        typed = dict(fields) if isinstance(fields, dict) else {}
        try:
            with self._acting:
                self._take(act, arg, str(message.get("value", "")), typed)
        except BuildFlowError as error:
            self.cockpit.clicks.say(str(error), "err")
        self.changed()

    def _take(self, act: str, arg: str, value: str, typed: Mapping[str, Any]) -> None:
        operations = self.cockpit.operations
        acts: Mapping[str, Callable[[], object]] = {
            "do": lambda: self.cockpit.clicks.click(arg),
            "send": lambda: self._send(arg, typed),
            "yes": lambda: operations.answer(yes=True, typed=str(typed.get("typed", ""))),
            "no": lambda: operations.answer(yes=False),
            "cancel": operations.end_soon,
            "kill": operations.cancel,
            "close-operation": operations.close,
            "close-said": lambda: self.cockpit.clicks.say(""),
            "close-found": lambda: self.cockpit.show(None),
            "download": lambda: self._download(arg),
            "next": self._next_failing,
            "ask": lambda: self._pages.act(act, arg, value, typed),
            "answer": lambda: self._pages.act(act, arg, value, typed),
        }
        if act in acts:
            acts[act]()
        elif act != "look" or not self._pages.turned(value):
            self.state = self.state.after(act, arg, value)

    def _next_failing(self) -> None:
        """Open the failures of the next processor that fails."""
        failing = self._rows.failing
        if failing:
            here = self.state.selected
            at = failing.index(here) + 1 if here in failing else 0
            self.state = self.state.after("failures", failing[at % len(failing)], "")

    def _send(self, processor_id: str, typed: Mapping[str, Any]) -> None:
        flow = self.cockpit.flow()
        found = {
            name: kept(flow.config.folder, value) if isinstance(value, dict) else value
            for name, value in typed.items()
        }
        try:
            line, shown = line_of(flow.processor(processor_id), found)
        except FieldError as error:
            self.state = self.state.refused(error.field, error.said)
            return
        text = shown.split(maxsplit=3)[3]
        self.cockpit.sent.add(processor_id, text)
        self.state = self.state.sent(text)
        self.cockpit.clicks.click(line, shown)

    def _download(self, processor_id: str) -> None:
        lines = lines_of(self.cockpit.flow(), processor_id, self.state.level, self.state.text)
        name = "flow" if processor_id == ALL else processor_id
        self.tell(save=f"{name}.log", text=as_file(lines))


def _same(before: tuple[object, ...], now: tuple[object, ...]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _silent(at: float) -> str:
    """What the style sheet shows when no sign of the kernel came for a while."""
    since = formats.dated(at)
    return (
        f'<div class="silent">▲ No sign from the kernel since {since}. What follows is how it was '
        "then; after a restart of the kernel, Run All brings it back.</div>"
    )


def badge_of(view: StackView) -> Badge:
    """What is said of a managed node: whether the stack has it."""
    there = {resource.owner for resource in view.resources}

    def of(node: Node) -> tuple[str, str]:
        if view.unknown:
            return "not known", "mute"
        return ("applied", "ok") if node.key in there else ("not applied", "warn")

    return of


def graph_of_flow(flow: Flow, snapshot: FlowSnapshot) -> str:
    """The graph of a flow that is not live."""
    return graph_html(graph_of(flow.spec()), snapshot, badge_of(flow.stack_view()))


def twin_html(flow: Flow, snapshot: FlowSnapshot, *, note: str, twin: str) -> str:
    """The true table that stands for a panel where nothing is live."""
    graph, health = graph_of_flow(flow, snapshot), flow.health(snapshot)
    return snapshot_view.html(snapshot, graph, health=health, note=note, twin=twin)


def _folder(flow_id: str) -> str:
    """Where an export of the flow goes: beside the notebook, under its name."""
    path = PurePosixPath(flow_id)
    return path.stem if path.suffix in (".ipynb", ".py") else path.name or flow_id
