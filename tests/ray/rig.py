"""Clusters for tests, and who is left of them."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from buildflow_nb.core.process_id import ProcessId, end
from buildflow_nb.runtime.ray.addresses import Address
from buildflow_nb.runtime.ray.settings import environment, make_folder

ROOT = Path(__file__).parents[2]
STAND_IN = "tests.ray.stand_in:StandIn"
# A machine that is gone is known as gone within 4 s, rather than 15.
QUICK = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "3"}
ANSWER_S = 90.0  # the start of a head that does not come up


class Rig:
    """A cluster whose machines are processes of this one, on loopback."""

    def __init__(self, num_cpus: int = 4) -> None:
        self.folder = make_folder()
        made = {**environment(Address(), self.folder), **QUICK, "RAY_AUTH_MODE": "disabled"}
        # What joins it has to find it as a person's programs would, so it asks for no token.
        del made["RAY_AUTH_TOKEN_PATH"]
        with (self.folder / "cluster.log").open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.ray.cluster_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**made, "STAND_IN_FENCE_S": "4"},
                start_new_session=True,
            )
        try:
            self.address = str(self.ask("add", "head", num_cpus))
        except BaseException:
            self.close()
            raise

    def ask(self, *words: object) -> object:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(words).encode() + b"\n")
        self._child.stdin.flush()
        if not select.select([self._child.stdout], [], [], ANSWER_S)[0]:
            raise TimeoutError(words)
        line = self._child.stdout.readline()
        if not line:
            raise ConnectionError((self.folder / "cluster.log").read_text()[-2000:])
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        family = set(living(self.folder))
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(20.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()
        end(family | set(living(self.folder)), 3.0)
        shutil.rmtree(self.folder, ignore_errors=True)


def started(num_cpus: int = 4) -> Rig:
    """A cluster; Ray may miss its own deadlines on a busy machine, then it gets another try."""
    try:
        return Rig(num_cpus)
    except (RuntimeError, ConnectionError, TimeoutError):
        return Rig(num_cpus)


def living(folder: Path) -> list[ProcessId]:
    """The processes that were started with this folder as Ray's."""
    found = []
    for one in psutil.process_iter():
        try:
            if one.pid != os.getpid() and one.environ().get("RAY_TMPDIR") == str(folder):
                found.append(ProcessId(one.pid, one.create_time()))
        except (psutil.Error, OSError):
            continue
    return [one for one in found if one.alive()]


def until(holds: Callable[[], object], timeout_s: float) -> bool:
    """Wait for it, looking often; whether it came true."""
    ends = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True
