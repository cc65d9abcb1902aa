"""How long the export of a large notebook takes: 300 cells of code, and as many of text.

A hundred types, helpers and processors, and exploration of each. Measured in a process of its own,
as a terminal does it, from its start to the written project (goal: 2 seconds), and again in a
process in which everything is loaded, as a kernel does it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from buildflow_nb.export import export_flow
from tests.export.notebook import LOAD, saved, text

__all__ = ("main",)

ROUNDS = 5
PARTS = 100
GOAL_S = 2.0
TYPE = '''# what goes through part {n}
@dataclass
class Order{n}:
    """An order."""

    id: int
    name: str = "x"


LIMIT{n} = {n}


def helper{n}(order: Order{n}) -> str:
    value = {{"a": order.id, "b": LIMIT{n}}}
    for k in range(10):
        value["a"] += k
    return json.dumps(value)
'''
PROCESSOR = """%%buildflow consumer source=Pulse(iter(range({n})), 0.1)
def price{n}(x: int) -> str:
    return helper{n}(Order{n}(x))
"""
LOOK = "%buildflow peek price{n}\nhelper{n}(Order{n}(3))\nprint(LIMIT{n})\n"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = saved(folder / "large.ipynb", *_cells())
        alone: list[float] = []
        loaded: list[float] = []
        for number in range(ROUNDS):
            alone.append(_timed(lambda n=number: _alone(path, folder / f"alone{n}")))
            loaded.append(
                _timed(lambda n=number: export_flow((), folder / f"here{n}", notebook=path))
            )
        print(f"export of {3 * PARTS} cells of code, process and all: ", end="")  # noqa: T201
        print(f"{statistics.median(alone):.2f} s (goal {GOAL_S:.0f} s)")  # noqa: T201
        print(f"in a process in which all is loaded: {statistics.median(loaded[1:]):.2f} s")  # noqa: T201


def _cells() -> list[object]:
    cells: list[object] = [text("# Large"), LOAD, "import json\nfrom dataclasses import dataclass"]
    for n in range(PARTS - 1):
        cells += [text(f"## Part {n}"), TYPE.format(n=n), text("### Processor")]
        cells += [PROCESSOR.format(n=n), text("look"), LOOK.format(n=n)]
    return [*cells, "print('the end')"]


def _timed(act: object) -> float:
    began = time.perf_counter()
    if callable(act):
        act()
    return time.perf_counter() - began


def _alone(path: Path, folder: Path) -> None:
    code = "import sys; from pathlib import Path; from buildflow_nb.export import export_flow; "
    code += "export_flow((), Path(sys.argv[2]), notebook=Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(path), str(folder)], check=True)


if __name__ == "__main__":
    main()
