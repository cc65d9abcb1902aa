"""Everything of a run on Ray is killed in turn, and every element is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil

from buildflow_nb import Flow
from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.local import File
from tests.replicas.shared_queue import SharedQueue, SharedRows, fill, stored, writers

from .rig import ROOT, living, until

IN_FLIGHT = 60  # of one replica: so many may come twice when it is killed


def counted(path: str) -> Counter[int]:
    return Counter(row["n"] for row in stored(path))


def declare(app: Flow, path: str, version: int) -> None:
    def price(order: dict) -> dict:
        import time

        time.sleep(0.004)
        return {**order, "v": version}

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(price)


def test_replicas_a_machine_and_the_driver_are_killed_while_code_changes(rig, tmp_path):
    path, app, elements = str(tmp_path / "queue.db"), Flow(), 2_000
    declare(app, path, 1)
    fill(path, [{"n": n} for n in range(elements)])
    rig.ask("add", "third", 2)
    kills = 0
    run = app.run(engine="ray", address=rig.address, block=False)

    def more(count: int) -> bool:
        before = len(stored(path))
        return until(lambda: len(stored(path)) >= before + count, 40.0)

    try:
        for version in (2, 3):
            assert more(150)
            os.kill(_working(path), signal.SIGKILL)
            kills += 1
            declare(app, path, version)
        assert more(150)
        rig.ask("remove", "third")
        os.kill(run._supervisor._engine.host.pid, signal.SIGKILL)
        kills += 1
        assert more(150)
        declare(app, path, 4)
        run.wait_until(drained=True, timeout=60.0)
        counts = counted(path)
        assert set(counts) == set(range(elements))
        assert counts.total() - elements <= (kills + 1) * IN_FLIGHT
        shot = run.snapshot().processor("price")
        assert (shot.state, shot.version) == (State.RUNNING, 4)
        assert stored(path)[-1]["v"] == 4
    finally:
        run.stop()
    assert run.status() is State.STOPPED


def _working(path: str) -> int:
    """A replica that has written, and lives."""
    assert until(lambda: any(map(psutil.pid_exists, writers(path))), 20.0)
    return next(pid for pid in writers(path) if psutil.pid_exists(pid))


class Life:
    """A program with a Ray of its own."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.ray.life", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def folder(self) -> Path:
        """That of its Ray, once there is one."""
        found: list[Path] = []

        def look() -> bool:
            for one in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    found.append(Path(one.environ()["RAY_TMPDIR"]))
                except (psutil.Error, KeyError):
                    continue
            return bool(found)

        assert until(look, 30.0)
        return found[0]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.wait(25.0)

    def wait(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def test_a_program_that_is_killed_and_started_again_loses_nothing(rig, tmp_path):
    path = str(tmp_path / "queue.db")
    fill(path, [{"n": n} for n in range(600)])
    first = Life(path)
    folder = first.folder()
    assert until(lambda: len(stored(path)) > 50, 60.0)
    first.end(signal.SIGKILL)
    second = Life(path)
    assert second.wait(90.0) == 0
    counts = counted(path)
    assert set(counts) == set(range(600))
    assert counts.total() - 600 <= 2 * IN_FLIGHT
    assert until(lambda: not folder.exists() and not living(folder), 20.0)


def test_an_interrupt_while_ray_starts_leaves_nothing(rig, tmp_path):
    path = str(tmp_path / "queue.db")
    fill(path, [])
    life = Life(path)
    folder = life.folder()
    assert until(lambda: len(living(folder)) >= 3, 30.0)  # in the midst of it
    assert life.end(signal.SIGINT) == -signal.SIGINT
    assert living(folder) == []
    assert not folder.exists()


def test_a_run_that_ends_by_itself_leaves_nothing(rig, tmp_path):
    path, app = str(tmp_path / "queue.db"), Flow()
    (tmp_path / "orders.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(200)))

    def number(order: dict) -> dict:
        return {"n": int(order["n"])}

    source = File(str(tmp_path / "orders.csv"), "csv")
    app.consumer(source=source, sink=SharedRows(path))(number)
    run = app.run(engine="ray", address=rig.address, block=False)
    driver = ProcessId.of(run._supervisor._engine.host.pid)
    assert run.wait(60.0) is State.DONE
    assert driver is None or not driver.alive()
    assert set(counted(path)) == set(range(200))
