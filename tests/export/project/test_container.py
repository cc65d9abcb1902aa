"""The image: hadolint has nothing to say of the Dockerfile, and what it promises is in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import psutil
import pytest

from buildflow_nb.export.project.container import dockerfile, dockerignore
from buildflow_nb.export.project.requirements import Requirements
from tests.export.programs import TEXT, files, program, written
from tests.notebooks.exported import COMMAND, Program

TEXTS = [
    dockerfile((3, 11), wheels=False),
    dockerfile((3, 13), wheels=True),
]


def linted(text, *words):
    """What hadolint finds, by its rules' names."""
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("hadolint has no package for this system")
    line = [program, "--no-color", "--format", "json", "--failure-threshold", "style", *words, "-"]
    done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
    found = [(one["code"], one["line"]) for one in json.loads(done.stdout)]
    assert bool(done.returncode) == bool(found), done.stderr
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_hadolint_finds_nothing(text):
    assert linted(text) == []


def test_hadolint_finds_what_there_is():
    wrong = TEXTS[0].replace("3.11-slim-trixie", "latest").replace("--no-cache-dir ", "")
    wrong = wrong.replace('["buildflow", "run"', "buildflow run #").replace(
        "USER 10001", "USER root"
    )
    assert {code for code, _ in linted(wrong)} >= {"DL3007", "DL3042", "DL3025", "DL3002"}


def instructions(text):
    """The instructions in order, lines that go on joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [tuple(line.strip().split(maxsplit=1)) for line in joined]


@pytest.mark.parametrize("text", TEXTS)
def test_it_ends_as_a_user_without_rights_that_runs_the_flow_itself(text):
    found = instructions(text)
    words = dict(found)
    assert found[0][0] == "FROM"
    assert words["USER"] == "10001"
    command = json.loads(words["CMD"])
    assert command[:4] == ["buildflow", "run", "--host", "0.0.0.0"]  # noqa: S104
    assert words["STOPSIGNAL"] == "SIGTERM"
    order = [name for name, _ in found]
    assert order.index("USER") < order.index("CMD")


@pytest.mark.parametrize("text", TEXTS)
def test_requirements_are_a_layer_before_the_code(text):
    copied = [words for name, words in instructions(text) if name in ("COPY", "RUN")]
    install = next(i for i, words in enumerate(copied) if words.startswith("pip install"))
    assert "requirements.txt" in copied[install - 1]
    assert copied[install + 1] == "--chown=flow . ."


@pytest.mark.parametrize("text", TEXTS)
def test_its_health_is_that_the_runtime_server_answers(text):
    words = dict(instructions(text))
    port = json.loads(words["CMD"])[-1]
    assert "--start-runtime-server" in json.loads(words["CMD"])
    check = json.loads(words["HEALTHCHECK"].partition(" CMD ")[2])
    assert check[:2] == ["python", "-c"]
    assert f"http://127.0.0.1:{port}/runtime/status" in check[2]
    failed = subprocess.run(
        [sys.executable, "-c", check[2].replace(port, "9")], capture_output=True, check=False
    )
    assert failed.returncode == 1


def test_wheels_are_taken_where_they_are_there(tmp_path):
    assert "wheels*" in TEXTS[1]
    assert "wheels" not in TEXTS[0]
    with_folder = Requirements(("buildflow-nb==0.1.0",), (), {"buildflow-nb": tmp_path})
    from buildflow_nb.export.project.files import project_files

    made = project_files(program(), with_folder, tmp_path / "shop", None)
    assert "--find-links /opt/wheels" in made["Dockerfile"]


def test_neither_secrets_nor_state_get_into_the_image(tmp_path):
    ignored = dockerignore().split()
    for name in (".env", ".git", ".buildflow", ".venv"):
        assert f"**/{name}" in ignored
    made = files(tmp_path / "shop", program(secrets=("SHOP_TOKEN",)))
    assert "SHOP_TOKEN" not in made["Dockerfile"]


@pytest.mark.parametrize("token", ["", "tok-12345"])
def test_as_process_one_it_is_healthy_and_drains(tmp_path, monkeypatch, token):
    """A container's first process gets no signal that it does not ask for."""
    monkeypatch.setenv("BUILDFLOW_RUNTIME_TOKEN", token)
    unshare = shutil.which("unshare")
    namespace = [str(unshare), "--pid", "--fork", "--kill-child"]
    if unshare is None or subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("there are no namespaces of processes here")
    folder = written(tmp_path / "shop", program(TEXT))
    (folder / "orders.jsonl").write_text('{"id": 1, "qty": 2}\n')
    words = dict(instructions((folder / "Dockerfile").read_text()))
    command, check = json.loads(words["CMD"]), json.loads(words["HEALTHCHECK"].partition("CMD ")[2])
    assert command[:2] == ["buildflow", "run"]
    with Program(folder, [*namespace, *COMMAND]) as running:
        check = [sys.executable, "-c", check[2].replace("9653", str(running.runtime_port))]
        proxied = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        for environment in (os.environ, proxied):
            assert subprocess.run(check, env=environment, check=False).returncode == 0
        if token:
            proxied["BUILDFLOW_RUNTIME_TOKEN"] = "another"  # noqa: S105
            denied = subprocess.run(check, env=proxied, capture_output=True, check=False)
            assert b"401" in denied.stderr
        running.done("price")
        (first,) = psutil.Process(running.pid).children()
        first.send_signal(signal.SIGTERM)
        assert running.wait() == 0, running.log
        assert "draining" in running.log
        assert subprocess.run(check, capture_output=True, check=False).returncode == 1
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        assert connection.execute("SELECT id, total FROM priced").fetchall() == [(1, 3.0)]
