"""An emulator that falls over: told in the log, and started again sooner if it ran well before."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys

import pytest

from buildflow_nb.local_cloud import child
from buildflow_nb.local_cloud.child import Child, Command
from buildflow_nb.local_cloud.listener import Listener

DEADLINE_S = 10.0


@pytest.fixture(autouse=True)
def _ready(monkeypatch):
    """Whatever is started counts as ready."""

    async def found(self):
        return Listener.OURS

    monkeypatch.setattr(Child, "_found", found)


async def counted(made: Child, notes: asyncio.Queue[int], starts: int) -> list[int]:
    """The restarts that were counted at each of its first starts."""
    async with asyncio.timeout(DEADLINE_S):
        await made.start()
        found = [await notes.get() for _ in range(starts)]
        await made.stop()
    return found


def restarts(tmp_path, clock) -> list[int]:
    notes: asyncio.Queue[int] = asyncio.Queue(100)
    command = Command("short", [sys.executable, "-S", "-c", "raise SystemExit(3)"], (1,))
    made = Child(command, tmp_path, lambda: notes.put_nowait(made.restarts), clock)
    return asyncio.run(counted(made, notes, 4))


def test_one_that_keeps_falling_over_is_counted(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(child, "AGAIN_S", (0.0, 0.01))
    with caplog.at_level(logging.WARNING):
        assert restarts(tmp_path, lambda: 0.0) == [0, 1, 2, 3]
    told = [record.getMessage() for record in caplog.records]
    log = tmp_path / "short.log"
    assert told[:2] == [
        f"short ended with code 3 and is started again in 0 s (restart 1); its log: {log}",
        f"short ended with code 3 and is started again in 0.01 s (restart 2); its log: {log}",
    ]


def test_one_that_ran_well_before_is_started_again_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "AGAIN_S", (0.0, DEADLINE_S + 1))
    minutes = itertools.count(0.0, child.HEALTHY_S)
    assert restarts(tmp_path, lambda: next(minutes)) == [0, 1, 1, 1]


def test_one_that_cannot_be_started_now_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "AGAIN_S", (0.0,))
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o700)
    notes: asyncio.Queue[int] = asyncio.Queue(1000)
    made = Child(Command("gone", [str(program)], (1,)), tmp_path, lambda: notes.put_nowait(0))

    async def gone_for_a_while():
        told = asyncio.Event()
        monkeypatch.setattr(
            child.log, "warning", lambda text, *_: "cannot be" in text and told.set()
        )
        async with asyncio.timeout(DEADLINE_S):
            await made.start()
            program.rename(tmp_path / "away")
            await told.wait()
            (tmp_path / "away").rename(program)
            while not notes.empty():
                notes.get_nowait()
            await notes.get()
            await made.stop()

    asyncio.run(gone_for_a_while())
