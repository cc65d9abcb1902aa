"""`buildflow run --reload`: what is new runs, nothing is lost, and nothing is left behind."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.cli.typed import DEADLINE_S

# What is printed is one write, which nothing that is printed elsewhere stands in the middle of.
MAIN = """
import time
from dataclasses import dataclass
from buildflow import Flow
from buildflow.io.local import File
import steps

app = Flow("reloaded")

@dataclass
class Row:
    n: int

@app.consumer(File("in.csv"), File("out.csv"))
def copy(row: Row) -> Row:
    time.sleep(0.01)
    return steps.step(row)
"""
WATCH = """
from pathlib import Path
from buildflow import Flow
from buildflow.io.local import LocalFileChangeStream
import steps

app = Flow("watching")

@app.consumer(LocalFileChangeStream("inbox"))
def note(event):
    print(f"{steps.WORD} {Path(event.file_path).name}\\n", end="", flush=True)
"""
SERVE = """
from buildflow import Flow

app = Flow("greeter")
service = app.service("/")

@service.endpoint("/", method="GET")
def greet() -> str:
    return "{}"
"""


def children(run):
    return psutil.Process(run.process.pid).children(recursive=True)


def wait_gone(process):
    """A process of another session ends without telling us."""
    deadline = time.monotonic() + DEADLINE_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{process} is left behind"
        time.sleep(0.05)


def test_new_code_runs_and_broken_code_does_not(terminal):
    terminal.file("main.py", SERVE.format("one"))
    run = terminal.begin("run", "--reload", "--port", "0")
    run.until("greet is running")
    terminal.file("out.csv", "a file that a sink writes is no code")
    terminal.file("main.py", "def broken(:\n")
    said = run.until("save a change to try again")
    assert "main.py line 1: SyntaxError" in said
    assert "this does not load; the program before goes on" in said
    assert "changed: main.py" in said
    assert said.count("changed:") == 1
    assert "draining" not in said, "the old program was left alone"
    (process,) = children(run)
    terminal.file("main.py", SERVE.format("two"))
    said = run.until("greet is running", after=len(said))
    assert said.index("greet is stopped") < said.rindex("greet is running")
    (other,) = children(run)
    assert other.pid != process.pid
    run.signal(signal.SIGTERM)
    assert run.ended() == 0
    assert run.said.count("flow 'greeter' on stack 'local' (local cloud): stopped") == 2
    wait_gone(other)


def drop(terminal, name):
    """Put a file into the folder that is watched, whole from the start."""
    part = terminal.folder / name
    part.write_text("x")
    part.rename(terminal.folder / "inbox" / name)


def test_no_element_is_lost(terminal):
    count = 200
    terminal.file("main.py", MAIN)
    terminal.file(
        "steps.py",
        "def step(row):\n    print(f'old {row.n}\\n', end='', flush=True)\n    return row\n",
    )
    terminal.file("in.csv", "n\n" + "".join(f"{n}\n" for n in range(count)))
    run = terminal.begin("run", "--reload", "--port", "0", "--until", "drained")
    run.until("old 5\n")
    terminal.file(
        "steps.py",
        "def step(row):\n    print(f'new {row.n}\\n', end='', flush=True)\n    return row\n",
    )
    assert run.ended() == 0
    assert "changed: steps.py" in run.said
    assert "new " in run.said
    written = {int(line) for line in (terminal.folder / "out.csv").read_text().split()[1:]}
    assert written == set(range(count))


def test_what_comes_while_nobody_looks_is_told(terminal):
    (terminal.folder / "inbox").mkdir()
    terminal.file("main.py", WATCH)
    terminal.file("steps.py", "WORD = 'old'\n")
    run = terminal.begin("run", "--reload", "--port", "0")
    run.until("note is running")
    drop(terminal, "before.txt")
    run.until("old before.txt")
    names = ["before.txt"]
    terminal.file("steps.py", "WORD = 'new'\n")
    while f"new {names[-1]}\n" not in run.said:  # one after the other, until the new one is told
        names.append(f"{len(names)}.txt")
        drop(terminal, names[-1])
        run.until(f" {names[-1]}\n")
    run.signal(signal.SIGINT)
    assert run.ended() == 0
    told = [line.split()[-1] for line in run.said.splitlines() if line.split()[-1:] != []]
    assert [name for name in told if name.endswith(".txt")] == names


def test_a_program_that_does_not_load_at_first_runs_once_it_does(terminal):
    terminal.file("main.py", "1 / 0\n")
    run = terminal.begin("run", "--reload", "--port", "0")
    run.until("this does not load; nothing runs, save a change to try again")
    terminal.file("main.py", SERVE.format("one"))
    run.until("greet is running")
    run.signal(signal.SIGINT)
    assert run.ended() == 0


def test_it_ends_when_the_work_ends(terminal):
    terminal.file("main.py", MAIN)
    terminal.file("steps.py", "def step(row):\n    return row\n")
    terminal.file("in.csv", "n\n1\n")
    found = terminal("run", "--reload", "--until", "drained", "--port", "0")
    assert found.returncode == 0
    assert "copy is done" in found.stdout


def test_a_child_never_outlives_its_parent(terminal):
    terminal.file("main.py", SERVE.format("one"))
    run = terminal.begin("run", "--reload", "--port", "0")
    run.until("greet is running")
    (child,) = children(run)
    run.process.kill()
    wait_gone(child)
    assert "greet is stopped" in (run.ended(), run.said)[1], "it drained"


def test_one_that_is_still_loading_does_not_either(terminal):
    terminal.file("main.py", "import time\nprint('loading', flush=True)\ntime.sleep(3600)\n")
    run = terminal.begin("run", "--reload", "--port", "0")
    run.until("loading")
    (child,) = children(run)
    run.process.kill()
    wait_gone(child)


def test_it_can_be_ended_while_something_loads(terminal):
    terminal.file("main.py", "import time\nprint('loading', flush=True)\ntime.sleep(3600)\n")
    run = terminal.begin("run", "--reload", "--port", "0")
    run.until("loading")
    (child,) = children(run)
    run.signal(signal.SIGTERM)
    assert run.ended() == 0
    wait_gone(child)


def test_a_second_signal_ends_at_once(terminal):
    text = SERVE.format("one").replace(
        "def greet() -> str:\n", "def greet() -> str:\n    import time; time.sleep(3600)\n"
    )
    terminal.file("main.py", text)
    run = terminal.begin("run", "--reload", "--json", "--port", "0")
    run.until('"started"')
    import threading
    import urllib.request

    address = run.documents()[0]["address"]

    def ask():
        with pytest.raises(OSError, match=r"."):
            urllib.request.urlopen(address, timeout=DEADLINE_S)  # noqa: S310

    asking = threading.Thread(target=ask)
    asking.start()
    (child,) = children(run)
    while not any(c.status == "ESTABLISHED" for c in child.net_connections(kind="tcp")):
        time.sleep(0.02)
    run.signal(signal.SIGTERM)
    run.until("draining")
    run.signal(signal.SIGTERM)
    assert run.ended() == 128 + signal.SIGTERM
    wait_gone(child)
    asking.join(DEADLINE_S)
