"""The panel: one view of the kernel's flow, with its graph, its numbers and its buttons.

It is a list of named parts, each a pure function of the flow's snapshot and of what a person has
opened. Clicks arrive on the kernel's message loop, or on a subshell's beside the cell that runs,
and return at once: looking changes what is open, doing puts a line into the click queue.
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
from buildflow_nb.cockpit.panel.details import Details
from buildflow_nb.cockpit.panel.uploads import kept
from buildflow_nb.cockpit.panel.view_state import ALL, ViewState
from buildflow_nb.cockpit.views import formats, markup, snapshot_view
from buildflow_nb.cockpit.views.form import FieldError, line_of
from buildflow_nb.cockpit.views.graph import Graph, Node, graph_of
from buildflow_nb.cockpit.views.graph_svg import Badge, drawn
from buildflow_nb.cockpit.views.log_view import as_file, lines_of
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.operation_html import operation_html
from buildflow_nb.core.declaring.flow_spec import FlowSpec
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.flow import Flow

__all__ = ("VOLATILE", "Panel", "graph_html", "twin_html")

STACK_S = 2.0  # between two looks at the stack's state
VOLATILE = ("silent", "foot")  # parts that hold the time of the look, and nothing else that is new


_BUTTONS = (
    ("Preview", "%buildflow preview"),
    ("Apply", "%buildflow apply"),
    ("Run", "%buildflow run"),
    ("Stop", "%buildflow stop"),
    ("Check", "%buildflow check"),
    ("Export", "%buildflow export {folder}"),
    ("Destroy …", "%buildflow destroy"),
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
    _badge: tuple[float, Badge] | None = None

    def __post_init__(self) -> None:
        self._acting = threading.Lock()
        self.details = Details(self.cockpit)

    # -- what it shows ---------------------------------------------------------------------------

    def parts(self, snapshot: FlowSnapshot) -> dict[str, str]:
        """Every part's HTML, in order."""
        flow, state = self.cockpit.flow(), self.state
        graph = drawn(self._graph_of(flow.spec()), snapshot, self._badges(flow), live=True)
        table = snapshot_view.table(snapshot, live=True, selected=state.selected)
        return {
            "silent": _silent(snapshot.at),
            "head": self._head(flow, snapshot),
            "said": self._said(),
            "operation": operation_html(self.cockpit.operations),
            "found": self._found(),
            "graph": snapshot_view.framed(graph),
            "table": f'<div class="box">{table}</div>',
            "details": self.details.html(flow, state, snapshot),
            "foot": self._foot(snapshot),
        }

    def without_flow(self, why: str) -> dict[str, str]:
        """The parts that say why there is no flow to show now; the others stay as they were."""
        said = f'<div class="box pad" role="status"><span class="err">✕ {quote(why)}</span></div>'
        return {"silent": _silent(time.time()), "said": said}

    def _graph_of(self, spec: FlowSpec) -> Graph:
        """The graph, laid out anew only when another thing is declared."""
        key = (*spec.processors.values(), *spec.managed)
        if self._graph is None or not _same(self._graph[0], key):
            self._graph = (key, graph_of(spec))
        return self._graph[1]

    def _badges(self, flow: Flow) -> Badge:
        """What the stack has; read from the disk now and then, not four times a second."""
        now = time.monotonic()
        if self._badge is None or now - self._badge[0] > STACK_S:
            self._badge = (now, badge(flow))
        return self._badge[1]

    def _head(self, flow: Flow, snapshot: FlowSnapshot) -> str:
        runs = flow.handle is not None and flow.handle.running
        made = ""
        for label, text in _BUTTONS:
            line = text.format(folder=shlex.quote(_folder(flow.flow_id)))
            off = self.cockpit.clicks.off(line) or _idle(label, runs=runs)
            made += markup.button(label, "do", line, title=line, off=off)
        pressed = str(self.state.selected == ALL).lower()
        log = markup.button("Log", "log", aria_pressed=pressed, title="%buildflow logs")
        bar = f'<div class="bar pad under">{made}{log}</div>'
        cell = markup.attributes(data_cell=self.cockpit.cell() or None)
        return f"<header{cell}>{snapshot_view.head(snapshot)}</header>{bar}"

    def _said(self) -> str:
        clicks = self.cockpit.clicks
        said = clicks.news
        if not said:
            return ""
        shape = {"ok": "✓", "warn": "▲", "err": "✕"}.get(clicks.tone, "·")
        lines = said.splitlines()
        text = "<br>".join(quote(line, 400) for line in lines[:12])
        close = markup.button("✕", "close-said", class_="text", aria_label="close this message")
        return (
            f'<div class="box pad row" role="status"><span class="{clicks.tone}">{shape} {text}'
            f'</span><span class="grow"></span>{close}</div>'
        )

    def _found(self) -> str:
        """What the last check or replay gave."""
        found = self.cockpit.found
        if found is None:
            return ""
        close = markup.button("✕", "close-found", class_="text", aria_label="close the table")
        return (
            f'<div class="box pad"><div class="row"><span class="grow"></span>{close}</div>'
            f'<div class="tall" tabindex="0">{markup.without_style(found._repr_html_())}</div>'
            "</div>"
        )

    def _foot(self, snapshot: FlowSnapshot) -> str:
        last = (
            markup.live("copy the last click as a cell", self.cockpit.clicks.last)
            if self.cockpit.clicks.last
            else ""
        )
        return (
            f"<footer><span>updated {formats.clock(snapshot.at)}</span>"
            f'<span>live in {quote(self.cell)}</span><span class="grow"></span>{last}</footer>'
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
            "end-recording": lambda: self._end_recording(arg),
            "close-operation": operations.close,
            "close-said": lambda: self.cockpit.clicks.say(""),
            "close-found": lambda: self.cockpit.show(None),
            "download": lambda: self._download(arg),
        }
        if act in acts:
            acts[act]()
        else:
            self.state = self.state.after(act, arg, value)

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

    def _end_recording(self, processor_id: str) -> None:
        handle = self.cockpit.flow().handle
        if handle is not None and handle.has(processor_id):
            handle.end_recording(processor_id)

    def _download(self, processor_id: str) -> None:
        lines = lines_of(self.cockpit.flow(), processor_id, self.state.level, self.state.text)
        name = "flow" if processor_id == ALL else processor_id
        self.tell(save=f"{name}.log", text=as_file(lines))


def _same(before: tuple[object, ...], now: tuple[object, ...]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _idle(label: str, *, runs: bool) -> str:
    """Why a button has nothing to do now."""
    if label == "Run" and runs:
        return "it runs"
    return "it does not run" if label == "Stop" and not runs else ""


def _silent(at: float) -> str:
    """What the style sheet shows when no sign of the kernel came for a while."""
    since = formats.dated(at)
    return (
        f'<div class="silent">▲ No sign from the kernel since {since}. What follows is how it was '
        "then; after a restart of the kernel, Run All brings it back.</div>"
    )


def badge(flow: Flow) -> Badge:
    """What is said of a managed node: whether the stack has it."""
    view = flow.stack_view()
    there = {resource.owner for resource in view.resources}

    def of(node: Node) -> tuple[str, str]:
        if view.unknown:
            return "not known", "mute"
        return ("applied", "ok") if node.key in there else ("not applied", "warn")

    return of


def graph_html(flow: Flow, snapshot: FlowSnapshot) -> str:
    """The graph of a flow that is not live."""
    return drawn(graph_of(flow.spec()), snapshot, badge(flow))


def twin_html(flow: Flow, snapshot: FlowSnapshot, *, note: str, twin: str) -> str:
    """The true table that stands for a panel where nothing is live."""
    return snapshot_view.html(snapshot, graph_html(flow, snapshot), note=note, twin=twin)


def _folder(flow_id: str) -> str:
    """Where an export of the flow goes: beside the notebook, under its name."""
    path = PurePosixPath(flow_id)
    return path.stem if path.suffix in (".ipynb", ".py") else path.name or flow_id
