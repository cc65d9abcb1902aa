"""How flows, runs, snapshots and specs look in a notebook, registered with IPython's formatters.

Flow and its handle lie below this room and know nothing of it; their own `repr` serves a plain
Python prompt. `html` and `text` are pure functions of data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buildflow_nb.core.flow_spec import CollectorSpec, ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.snapshot import FlowSnapshot
from buildflow_nb.flow import Flow
from buildflow_nb.notebook import cockpit
from buildflow_nb.notebook.listings import Declared
from buildflow_nb.notebook.replayed import SideBySide
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.replay import Replay

__all__ = ("Shown", "html", "register", "text", "unregister")

Shown = FlowSnapshot | ProcessorSpec | Replay
_SPECS = (ConsumerSpec, CollectorSpec, EndpointSpec)


def html(value: Shown) -> str:
    """HTML of a snapshot, a spec or a replay."""
    if isinstance(value, FlowSnapshot):
        return cockpit.html(value)
    if isinstance(value, Replay):
        return SideBySide(value)._repr_html_()
    return Declared([value], value.kind)._repr_html_()


def text(value: Shown) -> str:
    """Plain text of a snapshot, a spec or a replay."""
    if isinstance(value, FlowSnapshot):
        return cockpit.text(value)
    if isinstance(value, Replay):
        return repr(SideBySide(value))
    return repr(Declared([value], value.kind))


def register(shell: Any, panel: Callable[[object], bool]) -> None:
    """Show our types from now on; `panel` shows a flow or a run live, if it is the kernel's."""
    bundles = shell.display_formatter.mimebundle_formatter

    def show(value: Flow | RunHandle) -> None:  # asked for, IPython shows nothing else
        if not panel(value):
            from IPython.display import display

            display(_bundle(value.snapshot()), raw=True)  # type: ignore[no-untyped-call]

    for live in (Flow, RunHandle):
        shell.display_formatter.ipython_display_formatter.for_type(live, show)
    for kind in (FlowSnapshot, Replay, *_SPECS):
        bundles.for_type(kind, lambda value, **_: _bundle(value))


def unregister(shell: Any) -> None:
    """Leave our types to their own `repr`."""
    formatter = shell.display_formatter
    for live in (Flow, RunHandle):
        formatter.ipython_display_formatter.pop(live, None)
    for kind in (FlowSnapshot, Replay, *_SPECS):
        formatter.mimebundle_formatter.pop(kind, None)


def _bundle(value: Shown) -> dict[str, str]:
    return {"text/plain": text(value), "text/html": html(value)}
