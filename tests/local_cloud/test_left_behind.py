"""What a supervisor left behind is ended; what another one has noted is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict

import psutil
import pytest

from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.local_cloud.left_behind import end_left, note, noted_here, remove_note


@pytest.fixture
def living():
    """Two processes that live until they are ended."""
    words = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with ExitStack() as stack:
        made = [
            stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE)) for _ in range(2)
        ]
        yield [ProcessId(one.pid, psutil.Process(one.pid).create_time()) for one in made]


def noted(folder, supervisor: ProcessId, *children: ProcessId) -> None:
    told = {"process": asdict(supervisor), "children": [asdict(child) for child in children]}
    (folder / "children.json").write_text(json.dumps(told))


def test_a_supervisor_that_lost_its_lock_and_its_children_are_ended(tmp_path, living):
    noted(tmp_path, *living)
    end_left(tmp_path)
    assert [process.alive() for process in living] == [False, False]


def test_a_later_process_with_the_same_number_is_left_alone(tmp_path, living):
    noted(tmp_path, *(ProcessId(process.pid, process.began - 60) for process in living))
    end_left(tmp_path)
    assert [process.alive() for process in living] == [True, True]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"children": [{}]}'])
def test_a_note_that_is_damaged_is_passed_over(tmp_path, text):
    (tmp_path / "children.json").write_text(text)
    end_left(tmp_path)
    remove_note(tmp_path)
    assert (tmp_path / "children.json").read_text() == text


def test_only_its_own_note_is_removed(tmp_path, living):
    note(tmp_path, living)
    assert noted_here(tmp_path)
    assert json.loads((tmp_path / "children.json").read_text())["process"]["pid"] == os.getpid()
    remove_note(tmp_path)
    assert not noted_here(tmp_path)
    noted(tmp_path, *living)
    remove_note(tmp_path)
    assert (tmp_path / "children.json").exists()
