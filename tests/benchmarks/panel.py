"""What a live panel costs: the share of a core while a page shows it, and memory over a long time.

Eight processors at 10 elements a second each, so that every look is another picture, in a real
kernel. The CPU time of the kernel is taken in turns with a page that shows the panel and with none;
the difference is the panel's. A flood is a processor that prints a line an element, as fast as it
can, with the log shown and not. Memory is that of as many updates as a page gets in hours, made as
fast as they can be.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from buildflow_nb.notebook.view import WIDGET_VIEW
from tests.notebook.kernels import Kernel

__all__ = ("main",)

ROUNDS = 6
TURN_S = 6.0
UPDATES = 20_000  # four a second for an hour and a half, every one of them another picture
SETUP = """
%load_ext buildflow_nb
import os, gc, psutil
from buildflow_nb.io.local import Empty, Pulse
for i in range(8):
    def work(x: int) -> int:
        return x + 1
    work.__name__ = f"work{i}"
    app.consumer(Pulse(range(1000), 0.1), Empty())(work)
"""
FIND = """
from buildflow_nb.notebook.live import Live
live = next(x for x in gc.get_objects() if isinstance(x, Live))
live.hears = live._view._hears = lambda: False  # nobody is asked: the page is a mute one
"""
FLOOD = """
for i in range(8):
    app.remove(f"work{i}")
import itertools
from buildflow_nb.io.local.pulse import Pulse
def flood(x: int) -> list[int]:
    for i in range(1_000):
        print("element", i, "was priced at", x)
    return None
app.consumer(Pulse(range(1000), 1e-4), Empty())(flood)
"""
OPEN = """
from dataclasses import replace
live.panel.state = replace(live.panel.state, selected={!r}, tab="log")
"""
LINES = "app.logs('flood')[-1].number"
MANY = """
rss = psutil.Process().memory_info
def many(n):
    for i in range(n):
        live._found = {}
        live.publish()
many(%d)
gc.collect()
before = rss().rss
many(%d)
gc.collect()
(before, rss().rss)
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder))
        try:
            kernel(SETUP, "c1")
            view = kernel("%buildflow run --port 0", "c2").bundles[-1][WIDGET_VIEW]
            kernel(FIND, "c3")
            _cpu(kernel, view)
            _memory(kernel)
            _flood(kernel, view)
        finally:
            kernel.close()


def _cpu(kernel: Kernel, view: dict[str, object]) -> None:
    shares: dict[str, list[float]] = {"here": [], "gone": []}
    for _ in range(ROUNDS):
        for act, found in shares.items():
            _say(kernel, view, act)
            began, spent = time.monotonic(), _spent(kernel)
            _drain(kernel, TURN_S)
            found.append((_spent(kernel) - spent) / (time.monotonic() - began))
    watched, alone = (statistics.median(found) for found in shares.values())
    print(f"kernel with a page {watched:.2%} of a core, without {alone:.2%}")  # noqa: T201
    print(f"the panel of 8 processors: {watched - alone:.2%} of a core (goal 1 %)")  # noqa: T201


def _flood(kernel: Kernel, view: dict[str, object]) -> None:
    kernel(FLOOD, "c4")
    _say(kernel, view, "here")
    rates: dict[str, list[float]] = {"": [], "flood": []}
    for _ in range(ROUNDS):
        for selected, found in rates.items():
            kernel(OPEN.format(selected))
            began, lines = time.monotonic(), int(kernel.value(LINES))
            _drain(kernel, TURN_S / 2)
            found.append((int(kernel.value(LINES)) - lines) / (time.monotonic() - began))
    closed, shown = rates.values()
    ratio = statistics.median(a / b for a, b in zip(shown, closed, strict=True))
    print(f"a flood: {statistics.median(closed):,.0f} lines/s with the log closed, ", end="")  # noqa: T201
    print(f"{statistics.median(shown):,.0f} with it shown, ratio {ratio:.3f} (goal 0.95)")  # noqa: T201


def _memory(kernel: Kernel) -> None:
    value = kernel.value(MANY % (UPDATES // 10, UPDATES))
    before, after = (int(part) for part in value.strip("()").split(","))
    text = f"memory over {UPDATES:,} updates: {before / 1e6:.1f} -> {after / 1e6:.1f} MB"
    print(text)  # noqa: T201


def _say(kernel: Kernel, view: dict[str, object], act: str) -> None:
    content = {"comm_id": view["model_id"]}
    content["data"] = {"method": "custom", "content": {"act": act, "arg": "page"}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", content))


def _spent(kernel: Kernel) -> float:
    return float(kernel.value("sum(os.times()[:2])"))


def _drain(kernel: Kernel, seconds: float) -> None:
    """Read what the kernel publishes, as a page would."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            kernel.client.get_iopub_msg(timeout=0.2)
        except Exception as error:
            if type(error).__name__ != "Empty":
                raise


if __name__ == "__main__":
    main()
