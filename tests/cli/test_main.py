"""What goes wrong around a command is one line and an exit code, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.typed import COMMAND, DEADLINE_S, environment

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [["--help"], ["help", "--json"], ["cloud"]])
def test_a_full_disk(tmp_path, words):
    with FULL.open("w") as full:
        found = subprocess.run(
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert found.returncode == 1
    assert found.stderr == "buildflow: [Errno 28] No space left on device\n"


def test_a_reader_that_has_had_enough(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "help"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 1
        assert process.stderr.read() == ""


def test_a_folder_that_is_gone(tmp_path):
    code = (
        "import os; os.rmdir(os.getcwd()); from buildflow_nb.cli.main import main; main(['cloud'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert found.stderr == "buildflow: [Errno 2] No such file or directory\n"


def test_a_wrong_buildflow_yaml_is_told_with_its_line(terminal):
    terminal.file("buildflow.yaml", "app: shop\nstackz: []\n")
    for word in ("run", "inspect", "status", "preview", "build", "check", "cloud"):
        found = terminal(word)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr == "buildflow: buildflow.yaml line 2: stackz is not a known key\n"
