"""A project folder and a person who types there: in processes of their own, or in the test's.

A process costs a second of imports. Each command is run in one at least once; where the process is
not the point, `Here` does the same without it.
"""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from buildflow_nb.cli.main import main

DEADLINE_S = 60
COMMAND = (sys.executable, "-m", "buildflow_nb.cli.main")


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would colour a terminal or put a run on a leash."""
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return {**kept, "COLUMNS": "120", **more}


class Typed:
    """Types commands into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: list[Running] = []

    def __call__(
        self, *words: str, answers: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=environment(**more),
            input=answers,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def file(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def begin(self, *words: str, **more: str) -> Running:
        """Start a command that goes on."""
        made = Running(self.folder, words, more)
        self.open.append(made)
        return made

    def close(self) -> None:
        """End what is still running."""
        for one in self.open:
            one.close()


class Here(Typed):
    """Types commands that end by themselves into this process."""

    def __call__(
        self, *words: str, answers: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, _signals_kept():
            patch.chdir(self.folder)
            patch.setattr(sys, "stdin", io.StringIO(answers))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "dont_write_bytecode", True)  # files are written anew at once
            patch.delitem(sys.modules, "main", raising=False)  # another test's project
            for name, value in more.items():
                patch.setenv(name, value)
            code = main(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@contextmanager
def _signals_kept() -> Iterator[None]:
    """A command hears signals in its own way, which ends with its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, heard in before.items():
            signal.signal(number, heard)


class Running:
    """A command that goes on, with what it says so far; its errors are in the same lines."""

    def __init__(self, folder: Path, words: tuple[str, ...], more: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=folder,
            env=environment(PYTHONUNBUFFERED="1", **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.said = ""

    def until(self, text: str, *, after: int = 0) -> str:
        """Read until a text is there; everything that was said so far."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.said[after:]:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.said}"
            if not self._read():
                assert text in self.said[after:], f"it ended without {text!r}:\n{self.said}"
        return self.said

    def documents(self) -> list[dict[str, Any]]:
        """What was said, as lines of JSON; others are left out."""
        return [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read():
            assert time.monotonic() < deadline, f"it does not end:\n{self.said}"
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        """End it, with all that it started."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        self.process.stdout.close()

    def _read(self) -> bool:
        """Read what is there, waiting for it a little; False at the end."""
        pipe = self.process.stdout
        ready, _, _ = select.select([pipe], [], [], 0.5)
        if not ready:
            return True
        found = os.read(pipe.fileno(), 65536)
        self.said += found.decode()
        return bool(found)


def asked(address: str) -> str:
    """What a served address answers."""
    with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:  # noqa: S310
        return answer.read().decode()


def in_a_terminal(folder, *words, **more):
    """What a command shows in a terminal of 100 columns."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**{"TERM": "xterm", "LINES": "40", **more}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    said, deadline = b"", time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if select.select([leader], [], [], 0.1)[0]:
            try:
                said += os.read(leader, 65536)
            except OSError:  # its end, on Linux
                break
        elif process.poll() is not None:
            break
    os.close(leader)
    return process.wait(DEADLINE_S), said.decode()
