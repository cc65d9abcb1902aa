"""A process is ended only if it began when it was written down."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from buildflow_nb.core.process_id import ProcessId, end, this_process
from buildflow_nb.infra.pulumi.recover import Recovery, _is_engine
from tests.infra.pulumi.test_deployment import deployment

DEADLINE_S = 10.0
WAITS = "import signal; print(1, flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAITS
HUGE = 2**80


@pytest.fixture
def program(tmp_path):
    """Runs code as a program that has the engine's name."""
    name = tmp_path / "pulumi"
    name.symlink_to(sys.executable)
    made = []

    def run(code=WAITS):
        process = subprocess.Popen([str(name), "-S", "-c", code], stdout=subprocess.PIPE)
        made.append(process)
        assert process.stdout.readline() == b"1\n"
        return process

    yield run
    for process in made:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()


def began(process) -> float:
    return psutil.Process(process.pid).create_time()


@pytest.mark.parametrize("other", [lambda now: 0.0, lambda now: now - 60, lambda now: float("nan")])
def test_recovery_leaves_a_later_process_of_that_number_alone(tmp_path, program, other):
    engine = program()
    found = deployment(tmp_path)
    recovery = Recovery(found, None, lambda _: None)
    recovery.before(ProcessId(engine.pid, other(began(engine))))
    assert engine.poll() is None
    assert ProcessId.of(engine.pid).alive()


@pytest.mark.parametrize("code", [WAITS, STUBBORN])
def test_recovery_ends_the_engine_that_it_was(tmp_path, program, monkeypatch, code):
    monkeypatch.setattr("buildflow_nb.infra.pulumi.recover.END_S", 0.5)
    engine = program(code)
    orphan = ProcessId.of(engine.pid)
    Recovery(deployment(tmp_path), None, lambda _: None).before(orphan)
    assert not orphan.alive()


def test_the_lock_of_an_engine_that_nobody_has_waited_for_is_a_dead_ones(program):
    """As in containers, whose first process waits for nobody."""
    engine = program("print(1, flush=True)")
    process = psutil.Process(engine.pid)
    deadline = time.monotonic() + DEADLINE_S
    while process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    assert not _is_engine(engine.pid)
    assert _is_engine(program().pid)


def test_one_that_is_not_to_be_killed_is_told(program):
    engine = program(STUBBORN)
    assert not end([ProcessId.of(engine.pid)], 0.2, kill=False)
    assert engine.poll() is None
    assert end([ProcessId.of(engine.pid)], 0.2)


@pytest.mark.parametrize("pid", [0, -1, 1, HUGE, -HUGE])
def test_any_number_may_stand_in_a_file(pid):
    assert not ProcessId(pid, 0.0).alive()
    assert end([ProcessId(pid, 0.0)], 0.0)
    assert ProcessId.of(HUGE) is None


def test_this_one_lives():
    assert this_process() == ProcessId.of(os.getpid())
    assert this_process().alive()
