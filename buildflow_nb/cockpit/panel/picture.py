"""One picture of a panel, for whichever page shows it, and when the next one is due.

A flow that cannot be looked at leaves what was shown, with the reason in its place. Numbers that
run by themselves are drawn as often as can be read, and less often where drawing costs much, so
that a hundredth of a core is enough however many processors there are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.cockpit.views import snapshot_view
from buildflow_nb.core.errors import BuildFlowError

__all__ = ("PACE_S", "Picture", "pause_s", "picture")

PACE_S = 0.5  # between two pictures of numbers that run by themselves: faster cannot be read
SHARE = 0.01  # of a core that drawing may take for long
SLOWEST_S = 15.0  # between two pictures, however much there is to draw
LOOP_S = 0.02  # of waiting for the flow's loop that counts as its work
BLOCKED = (
    "the flow's loop does not answer: an async processor holds it; make that one a plain def, "
    "or let it await what takes long"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """Label and pieces, and how many seconds of a core they took, the flow's loop included."""

    label: str
    parts: Mapping[str, str]
    cost_s: float = 0.0


def picture(panel: Panel, before: Picture, look_s: float) -> Picture:
    """The panel as it is now; the flow's loop has `look_s` seconds to answer.

    Raises:
        Exception: it cannot be drawn.
    """
    asked = time.monotonic()
    try:
        snapshot = panel.cockpit.flow().snapshot(look_s)
        waited, busy = time.monotonic() - asked, time.thread_time()
        label, parts = snapshot_view.title(snapshot), panel.parts(snapshot)
    except TimeoutError:
        return Picture(before.label, {**before.parts, **panel.without_flow(BLOCKED)})
    except BuildFlowError as error:  # the name is bound to no flow
        return Picture(before.label, {**before.parts, **panel.without_flow(str(error))})
    return Picture(label, parts, min(waited, LOOP_S) + time.thread_time() - busy)


def pause_s(cost_s: float) -> float:
    """Seconds until the next picture of a flow at work, after one that cost so much."""
    return min(max(PACE_S, cost_s / SHARE), SLOWEST_S)
