"""What goes wrong around a command is one line and an exit code, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from buildflow_nb.cli.main import _HOMES, ANYWHERE, main
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


GONE = "the folder in which this runs is gone; cd to one that is there"


@pytest.mark.parametrize(
    "words",
    [
        *([name] for name in _HOMES if name not in {*ANYWHERE, "export"}),
        ["cloud", "start"],
        ["run", "--json"],
        ["run", "--from-build", "x.zip"],
        ["export", "x.ipynb", "y"],
        ["init", "--app", "shop"],
        ["apply", "--yes"],
    ],
    ids="-".join,
)
def test_a_folder_that_is_gone(tmp_path, words, monkeypatch, capsys):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err == f"buildflow: {GONE}\n"
    if "--json" in words:
        assert json.loads(said.out) == {"error": GONE, "kind": "UsageError"}


def test_a_process_in_a_folder_that_is_gone(tmp_path):
    found = in_a_folder_that_is_gone(tmp_path, ["run", "--json"])
    assert (found.returncode, found.stderr) == (2, f"buildflow: {GONE}\n")
    assert json.loads(found.stdout) == {"error": GONE, "kind": "UsageError"}


def test_help_is_given_in_a_folder_that_is_gone(tmp_path):
    found = in_a_folder_that_is_gone(tmp_path, ["help"])
    assert (found.returncode, found.stderr) == (0, "")


def in_a_folder_that_is_gone(tmp_path, words):
    code = (
        "import os, sys; os.rmdir(os.getcwd()); from buildflow_nb.cli.main import main;"
        " sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_a_wrong_buildflow_yaml_is_told_with_its_line(terminal):
    terminal.file("buildflow.yaml", "app: shop\nstackz: []\n")
    for word in ("run", "inspect", "status", "preview", "build", "check", "cloud"):
        found = terminal(word)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr == "buildflow: buildflow.yaml line 2: stackz is not a known key\n"


def test_an_error_is_a_document_where_json_is_asked_for(here):
    here.file("main.py", "from buildflow import Flow\napp = Flow()\n")
    for words, code, kind, error in (
        (["inspect", "--stack", "prod"], 2, "ConfigError", "no stack 'prod'"),
        (["preview", "--now"], 2, "UsageError", "unknown option '--now'"),
        (["export", "no.ipynb", "out"], 2, "UsageError", "no.ipynb cannot be read"),
    ):
        told = here(*words, "--json")
        assert told.returncode == code
        (line,) = told.stdout.splitlines()
        document = json.loads(line)
        assert document["kind"] == kind
        assert error in document["error"]
        assert document["error"] in told.stderr


def test_a_refused_export_gives_its_reasons(terminal):
    cell = "%%buildflow consumer source=nowhere\ndef f(x: int) -> int:\n    return x"
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    code = {"cell_type": "code", "source": cell, "metadata": {}, "outputs": []}
    terminal.file("shop.ipynb", json.dumps(book | {"cells": [code]}))
    told = terminal("export", "shop.ipynb", "out", "--json")
    (reason,) = json.loads(told.stdout)["reasons"]
    assert "no cell that ran defines 'nowhere'" in reason
    assert told.returncode == 2


@pytest.mark.parametrize("entry", [":", ":app", "main:", "main:not a name"])
def test_an_entry_point_without_a_name(here, entry):
    told = here("inspect", "--app", entry)
    assert told.returncode == 2
    assert f"--app {entry!r} must be module:name, like main:app, or a file" in told.stderr


def test_a_command_that_needs_no_flow_runs_in_a_process_of_its_own(terminal):
    made = terminal("init", "--directory", "shop", "--app", "shop")
    assert (made.returncode, made.stderr) == (0, "")
    assert (terminal.folder / "shop" / "main.py").is_file()
    assert "Python" in terminal("doctor").stdout
    profiles = str(terminal.folder / "ipython")
    put = terminal("jupyter", "install", IPYTHONDIR=profiles)
    assert put.returncode == 0, put.stderr
    assert list((terminal.folder / "ipython").rglob("50-buildflow-nb.py"))
    assert "Usage: buildflow" in terminal("help").stdout
