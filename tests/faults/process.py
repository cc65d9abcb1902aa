"""A child that is started, killed at any moment, and started again; ended by its own number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Self

from tests.faults.child import Orders

__all__ = ("Child",)

END_S = 150.0
ROOT = Path(__file__).parents[2]


class Child:
    """One life of the program; leaving it kills what is left of it."""

    def __init__(self, orders: Orders) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child", json.dumps(asdict(orders))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def wait_up(self) -> str:
        """Wait until it runs; gives its address."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("up"):
            _out, said = self._process.communicate()
            msg = f"the child did not start: {said}"
            raise RuntimeError(msg)
        return line.split()[1]

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def to_its_end(self, seconds: float = END_S) -> tuple[int, str]:
        """Let it go on; its exit code and what it said. One that hangs is killed: code -9."""
        try:
            _out, said = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            _out, said = self._process.communicate()
            said = f"it hung for {seconds:g} s\n{said}"
        return self._process.returncode, said
