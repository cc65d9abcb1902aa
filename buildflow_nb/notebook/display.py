"""How flows, runs, snapshots and specs look in a notebook, registered with IPython's formatters.

Flow and its handle lie below this room and know nothing of it; their own `repr` serves a plain
Python prompt. `html` and `text` are pure functions of data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.declaring.flow_spec import (
    CollectorSpec,
    ConsumerSpec,
    EndpointSpec,
    ProcessorSpec,
)
from buildflow_nb.core.status.snapshot import FlowSnapshot

if TYPE_CHECKING:
    from buildflow_nb.cockpit.views.listings import Declared
    from buildflow_nb.cockpit.views.profile import ProfileShown
    from buildflow_nb.cockpit.views.replayed import SideBySide
    from buildflow_nb.cockpit.views.resource_page import LookView
    from buildflow_nb.cockpit.views.trace import TraceShown
    from buildflow_nb.core.resource_look import ResourceLook
    from buildflow_nb.core.status.profile import Profile
    from buildflow_nb.core.status.traces import Trace
    from buildflow_nb.flow import Flow
    from buildflow_nb.runtime.handle import RunHandle
    from buildflow_nb.runtime.replay import Replay

    Shown = FlowSnapshot | ProcessorSpec | Replay | Trace | Profile | ResourceLook

__all__ = ("html", "register", "text", "unregister")

# By name, so that nothing is loaded for what may never be shown.
_LIVE = (("buildflow_nb.flow.flow", "Flow"), ("buildflow_nb.runtime.handle", "RunHandle"))
_DATA = (
    ("buildflow_nb.core.status.snapshot", "FlowSnapshot"),
    ("buildflow_nb.runtime.replay", "Replay"),
    ("buildflow_nb.core.status.traces", "Trace"),
    ("buildflow_nb.core.status.profile", "Profile"),
    ("buildflow_nb.core.resource_look", "ResourceLook"),
    *((kind.__module__, kind.__name__) for kind in (ConsumerSpec, CollectorSpec, EndpointSpec)),
)


def html(value: Shown) -> str:
    """HTML of a snapshot, a spec or a replay."""
    from buildflow_nb.cockpit.views import snapshot_view

    if isinstance(value, FlowSnapshot):
        return snapshot_view.html(value)
    return _listed(value)._repr_html_()


def text(value: Shown) -> str:
    """Plain text of a snapshot, a spec or a replay."""
    from buildflow_nb.cockpit.views import snapshot_view

    if isinstance(value, FlowSnapshot):
        return snapshot_view.text(value)
    return repr(_listed(value))


def _listed(
    value: ProcessorSpec | Replay | Trace | Profile | ResourceLook,
) -> Declared | SideBySide | TraceShown | ProfileShown | LookView:
    from buildflow_nb.cockpit.views.listings import Declared
    from buildflow_nb.cockpit.views.profile import ProfileShown
    from buildflow_nb.cockpit.views.replayed import SideBySide
    from buildflow_nb.cockpit.views.resource_page import LookView
    from buildflow_nb.cockpit.views.trace import TraceShown
    from buildflow_nb.core.resource_look import ResourceLook
    from buildflow_nb.core.status.profile import Profile
    from buildflow_nb.core.status.traces import Trace

    if isinstance(value, (ConsumerSpec, CollectorSpec, EndpointSpec)):
        return Declared([value], value.kind)
    if isinstance(value, Trace):
        return TraceShown(value)
    if isinstance(value, ResourceLook):
        return LookView(value)
    if isinstance(value, Profile):
        return ProfileShown(value, time.time())
    return SideBySide(value)


def register(shell: Any, panel: Callable[[object], bool]) -> None:
    """Show our types from now on; `panel` shows a flow or a run live, if it is the kernel's."""
    bundles = shell.display_formatter.mimebundle_formatter

    def show(value: Flow | RunHandle) -> None:  # asked for, IPython shows nothing else
        if not panel(value):
            from IPython.display import display

            display(_bundle(value.snapshot()), raw=True)  # type: ignore[no-untyped-call]

    for live in _LIVE:
        shell.display_formatter.ipython_display_formatter.for_type_by_name(*live, show)
    for kind in _DATA:
        bundles.for_type_by_name(*kind, lambda value, **_: _bundle(value))


def unregister(shell: Any) -> None:
    """Leave our types to their own `repr`."""
    formatter = shell.display_formatter
    for module, name in _LIVE:
        formatter.ipython_display_formatter.pop(f"{module}.{name}", None)
    for module, name in _DATA:
        formatter.mimebundle_formatter.pop(f"{module}.{name}", None)


def _bundle(value: Shown) -> dict[str, str]:
    return {"text/plain": text(value), "text/html": html(value)}
