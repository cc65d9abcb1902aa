"""What a live panel costs: the share of a core while a page shows it, and memory over a long time.

Eight processors at 100 elements a second each, in a real kernel. The CPU time of the kernel is
taken in turns with a page that shows the panel and with none; the difference is the panel's. Memory
is that of as many updates as a page gets in a few hours, made as fast as they can be.
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
    app.consumer(Pulse(range(1000), 0.01), Empty())(work)
"""
FIND = """
from buildflow_nb.notebook.live import Live
live = next(x for x in gc.get_objects() if isinstance(x, Live))
live.hears = live._view._hears = lambda: False  # nobody is asked: the page is a mute one
"""
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
