"""The drawer's tab of traces, which holds still: it shows what was there when it was opened.

What is put together of all processors is put together once, and again only as long as the trace is
young, since it may go on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from buildflow_nb.cockpit.panel.view_state import ViewState
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.trace import numbered, trace_html, traces_html
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.traces import Trace
from buildflow_nb.flow import Flow
from buildflow_nb.runtime.observability.failures import FailureRecord

__all__ = ("TraceTab",)

OTHERS = 20  # traces to go to from here
AGAIN_S = 1.0  # between two looks at a trace that may go on
YOUNG_S = 30.0
_GONE = '<p class="warn">'


@dataclass(slots=True)
class _Drawn:
    key: tuple[object, ...]
    html: str
    at: float
    ends: float  # after that it is not looked at again
    others: Sequence[Trace]
    chosen: str


class TraceTab:
    """What the tab shows; `html` is asked several times a second."""

    def __init__(self) -> None:
        self._drawn: _Drawn | None = None

    def html(self, flow: Flow, processor_id: str, state: ViewState) -> str:
        """The chosen trace, or the last one of when the tab was opened, with ways to others."""
        key = (processor_id, state.opened, state.trace)
        drawn, now = self._drawn, time.time()
        if drawn is not None and drawn.key == key:
            waits = not drawn.others
            if now - drawn.at < AGAIN_S or (now > drawn.ends and not waits):
                return drawn.html
            others = drawn.others or flow.traces(processor_id, OTHERS)
            chosen = drawn.chosen or _last(others)
        else:
            others = flow.traces(processor_id, OTHERS)
            chosen = state.trace or _last(others)
        html, ends = _made(flow, processor_id, chosen, others, now)
        if html.startswith(_GONE) and drawn is not None and drawn.key == key:
            html = drawn.html  # what is read stays, also when it is kept no more
        self._drawn = _Drawn(key, html, now, ends, others, chosen)
        return html


def _last(others: Sequence[Trace]) -> str:
    return others[-1].trace_id if others else ""


def _made(
    flow: Flow, processor_id: str, chosen: str, others: Sequence[Trace], now: float
) -> tuple[str, float]:
    """The HTML, and until when it may change."""
    if not chosen:
        return traces_html((), processor_id), now
    which: str | int | FailureRecord = numbered(chosen)
    if isinstance(which, int):  # which is one of each processor that has failures
        which = next((f for f in flow.failures(processor_id) if f.number == which), which)
    try:
        trace = flow.trace(which)
    except UsageError as error:
        table = traces_html(others, processor_id)
        return f"{_GONE}{quote(str(error))}</p>{table}", now
    return trace_html(trace, processor_id, others), trace.started_at + trace.took_s + YOUNG_S
