"""One operation at a time, and what a sudden end leaves written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.process_id import this_process
from buildflow_nb.core.status.operations import Operation
from buildflow_nb.infra.pulumi.stack_lock import lock_stack

HOLDER = """
import sys
from pathlib import Path
from buildflow_nb.core.status.operations import Operation
from buildflow_nb.infra.pulumi.stack_lock import lock_stack

with lock_stack(Path(sys.argv[1]), "local", Operation.APPLY) as turn:
    turn.engine(4711)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the turn."""
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "local.lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_whoever_comes_second_is_told_who_works(tmp_path, holder):
    said = rf"stack 'local' is being changed by .*process {holder.pid}\)?: apply since \S+ \S+"
    with (
        pytest.raises(InfraError, match=said),
        lock_stack(tmp_path / "local.lock", "local", Operation.PREVIEW),
    ):
        pass


def test_the_turn_of_a_dead_process_is_free_and_names_its_engine(tmp_path, holder):
    holder.kill()
    holder.wait(10)
    with lock_stack(tmp_path / "local.lock", "local", Operation.PREVIEW) as turn:
        assert turn.unfinished.pid == 4711
        turn.finish()
    with lock_stack(tmp_path / "local.lock", "local", Operation.PREVIEW) as turn:
        assert turn.unfinished is None


def test_a_turn_that_was_not_finished_is_found_by_the_next(tmp_path):
    path = tmp_path / "deep" / "local.lock"
    with lock_stack(path, "local", Operation.APPLY) as turn:
        turn.engine(os.getpid())
    assert path.stat().st_mode & 0o777 == 0o600
    with lock_stack(path, "local", Operation.APPLY) as turn:
        assert turn.unfinished == this_process()
        assert turn.unfinished.alive()


def test_an_engine_without_a_beginning_is_nobody(tmp_path):
    """As files of earlier versions have it: its number may be another's by now."""
    path = tmp_path / "local.lock"
    told = {"operation": "apply", "pid": 1, "since": "2026-01-31 12:00:00", "engine": os.getpid()}
    path.write_text(json.dumps(told))
    with lock_stack(path, "local", Operation.APPLY) as turn:
        assert turn.unfinished.pid == os.getpid()
        assert not turn.unfinished.alive()


def test_a_lock_that_is_a_link_is_refused(tmp_path):
    path = tmp_path / ".buildflow" / "local.lock"
    path.parent.mkdir()
    (tmp_path / "mine").write_text("mine")
    path.symlink_to(tmp_path / "mine")
    with (
        pytest.raises(
            InfraError,
            match=r"cannot be locked: \S+local\.lock is a link, and none is followed there",
        ),
        lock_stack(path, "local", Operation.APPLY),
    ):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ['{"pid": ', "[]", "[" * 100_000, '{"pid": "x"}', "\udcff", '{"pid": ' + "9" * 6_000]
)
def test_a_damaged_file_does_no_harm(tmp_path, text):
    path = tmp_path / "local.lock"
    path.write_text(text, errors="surrogateescape")
    with lock_stack(path, "local", Operation.APPLY) as turn:
        assert turn.unfinished is None
