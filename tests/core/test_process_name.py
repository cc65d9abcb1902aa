"""Other processes by the names that a person knows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from buildflow_nb.core.process_id import process_name

DEADLINE_S = 10.0
WAITS = "import sys; print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def started(tmp_path):
    made = []

    def start(*words, **environment):
        process = subprocess.Popen(
            words,
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        made.append(process)
        assert process.stdout.readline() == b"1\n"
        return process.pid

    yield start
    for process in made:
        process.communicate(timeout=DEADLINE_S)


def test_a_notebook(started):
    told = {"JPY_SESSION_NAME": "/home/me/shop/orders\x1b.ipynb", "KEY": "secret"}
    pid = started(sys.executable, "-c", WAITS, **told)
    assert process_name(pid) == f"notebook orders?.ipynb (process {pid})"


def test_a_script_and_a_command_with_their_folders(started, tmp_path):
    for name in ("main.py", "buildflow"):
        (tmp_path / name).write_text(WAITS)
    pid = started(sys.executable, "main.py", "--key", "secret")
    assert process_name(pid) == f"main.py in {tmp_path} (process {pid})"
    pid = started(sys.executable, str(tmp_path / "buildflow"), "run", "--key", "secret")
    assert process_name(pid) == f"buildflow run in {tmp_path} (process {pid})"


def test_any_other_program_by_its_name(started):
    pid = started(sys.executable, "-c", WAITS)
    assert process_name(pid).startswith("python")
    assert process_name(pid).endswith(f"(process {pid})")


def test_this_one_and_those_of_which_nothing_is_known():
    assert process_name(os.getpid()).endswith(f"(process {os.getpid()}, this one)")
    for pid in (-1, 2**40, 2**80):
        assert process_name(pid) == f"process {pid}"
