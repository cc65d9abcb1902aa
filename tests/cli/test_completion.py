"""What a shell offers: words of the table, stacks of the file, processors of the code."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from buildflow_nb.cli.completion import processors_in

YAML = "app: shop\npulumi_config:\n  stacks:\n  - {name: local, cloud: local}\n  - {name: prod}\n"
MAIN = """
raise RuntimeError("completion runs no code of the project")

@app.consumer(source, sink)
def price(x): ...

@service.endpoint("/")
async def answer(): ...

@collector("/in", sink=sink)
class Collect: ...

@cache
def helper(): ...
"""


@pytest.fixture
def offered(tmp_path):
    (tmp_path / "buildflow.yaml").write_text(YAML)
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "nested").mkdir()

    def ask(line):
        words = line.split(" ")
        found = subprocess.run(
            [sys.executable, "-m", "buildflow_nb.cli.main"],
            cwd=tmp_path,
            env={
                **os.environ,
                "_BUILDFLOW_COMPLETE": "complete_bash",
                "COMP_WORDS": line,
                "COMP_CWORD": str(len(words) - 1),
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert found.stderr == ""
        return found.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("buildflow ex", ["export"]),
        ("buildflow apply --st", ["--stack"]),
        ("buildflow apply --stack ", ["local", "prod"]),
        ("buildflow run --until ", ["drained"]),
        ("buildflow check pri", ["price"]),
        ("buildflow cloud st", ["status", "start", "stop"]),
        ("buildflow help doc", ["doctor"]),
        ("buildflow jupyter un", ["uninstall"]),
        ("buildflow build --build-path ma", ["main.py"]),
        ("buildflow init --directory n", ["nested/"]),
        ("buildflow init --directory m", []),
    ],
)
def test_a_shell_is_offered(offered, line, words):
    assert offered(line) == words


def test_a_file_that_cannot_be_read_offers_nothing(offered, tmp_path):
    (tmp_path / "buildflow.yaml").write_text("app: [")
    assert offered("buildflow apply --stack ") == []


def test_processors_are_found_without_running_code(tmp_path):
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    for place in (".hidden", "node_modules", "env"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.py").write_text("@app.consumer(a)\ndef hidden(x): ...\n")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert list(processors_in(tmp_path)) == ["price", "answer", "Collect"]


def test_the_script_for_a_shell_is_shown():
    found = subprocess.run(
        [sys.executable, "-m", "buildflow_nb.cli.main", "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "_BUILDFLOW_COMPLETE=complete_bash" in found.stdout
