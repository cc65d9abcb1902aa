"""The tab of a chart: the span to choose, and the plots, drawn again when there can be more."""

from __future__ import annotations

import time
from dataclasses import dataclass

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.chart import chart_html
from buildflow_nb.core.status.history import SPANS
from buildflow_nb.flow import Flow

__all__ = ("ChartTab",)

_EVERY_S = {"10m": 1, "1h": 5, "24h": 10}  # a row is of so many seconds, or not to be told apart


@dataclass
class ChartTab:
    """Draws the chart of the processor that is open."""

    _drawn: tuple[object, str] = (None, "")

    def html(self, flow: Flow, processor_id: str, span: str) -> str:
        """The buttons, and the chart up to this second."""
        now = time.time()
        key = (flow, processor_id, span, now // _EVERY_S[span])
        if self._drawn[0] != key:
            chart = chart_html(flow.history_of(processor_id), span=span, now=now)
            self._drawn = (key, f"{_spans(span)}{chart}")
        return self._drawn[1]


def _spans(chosen: str) -> str:
    made = "".join(
        markup.button(span, "span", span, aria_pressed=str(span == chosen).lower())
        for span in SPANS
    )
    return (
        f'<div class="row"><span class="grp s" role="group" aria-label="span">{made}</span>'
        '<span class="small mute">dashed blue: code swapped</span></div>'
    )
