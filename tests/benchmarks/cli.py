"""How long a terminal waits: for help, and from `buildflow run` to the first answer it serves.

Beside each stands `python -c pass`, which is what any program of Python's costs at least. The
figure for a page that Flask or FastAPI serves would be another program's; the goals are absolute.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.measure import interleave, table

ROUNDS = 11
MS = 1000.0
GOALS_MS = {"buildflow --help": 250, "buildflow run, to the first answer": 1500}
DEADLINE_S = 30.0
BUILDFLOW = (str(Path(sys.executable).with_name("buildflow")),)  # as it is typed
MAIN = """
from dataclasses import dataclass

from buildflow import Flow

app = Flow("greeter")
service = app.service("/")


@dataclass
class Greeting:
    text: str


@service.endpoint("/", method="GET")
def greet(name: str = "you") -> Greeting:
    return Greeting(f"Hello {name}!")
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.py").write_text(MAIN)
        sides = {
            "buildflow --help": _ends(folder, *BUILDFLOW, "--help"),
            "buildflow run, to the first answer": lambda: _first_answer(folder),
            "python -c pass": _ends(folder, sys.executable, "-c", "pass"),
        }
        figures = interleave(sides, ROUNDS)
    bare = {"python -c pass": figures["python -c pass"]}
    for side, goal in GOALS_MS.items():
        table(f"{side} (goal: at most {goal} ms)", {side: figures[side], **bare}, "ms", {})


def _ends(folder: Path, *words: str) -> Callable[[], float]:
    def side() -> float:
        began = time.perf_counter()
        subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=DEADLINE_S)
        return (time.perf_counter() - began) * MS

    return side


def _first_answer(folder: Path) -> float:
    began = time.perf_counter()
    words = [*BUILDFLOW, "run", "--json", "--port", "0"]
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            address = json.loads(process.stdout.readline())["address"]  # type: ignore[union-attr]
            with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:  # noqa: S310
                answer.read()
            return (time.perf_counter() - began) * MS
        finally:
            process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
