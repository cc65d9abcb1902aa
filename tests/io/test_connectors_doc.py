"""The examples of docs/connectors.md keep the contracts and run."""

import asyncio
import importlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Env, label_of
from tests.io.contract import SinkContract, SourceContract

PAGE = Path(__file__).parents[2] / "docs" / "connectors.md"
SOURCE, SINK, FLOW, CHECK = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
NOTES = [f"note {i}" for i in range(250)]
RECORDS = [{"x": 1, "name": "one"}, {"x": 2, "name": "zwei ü"}, {"x": 3, "name": "three"}]


@pytest.fixture(scope="module", autouse=True)
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    (folder / "connectors_example.py").write_text(SOURCE + SINK)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("connectors_example")
    sys.path.remove(str(folder))
    del sys.modules["connectors_example"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Env().folder == tmp_path


class Labelled:
    """A label is a nicety that the examples do without."""

    def test_is_frozen_and_shows_itself(self, tmp_path):
        assert "label" not in dir(self.make(tmp_path))


class TestNotes(Labelled, SourceContract):
    consumes = True
    expected = NOTES

    def make(self, folder):
        return sys.modules["connectors_example"].Notes("inbox")

    def prepare(self, folder):
        (folder / "inbox").mkdir(exist_ok=True)
        for i, note in enumerate(NOTES):
            (folder / "inbox" / f"{i:03d}.txt").write_text(note)
        return self.make(folder)


class TestSQLiteTable(Labelled, SinkContract):
    samples = RECORDS

    def make(self, folder):
        return sys.modules["connectors_example"].SQLiteTable("notes.db", "counts")

    def read(self, folder):
        connection = sqlite3.connect(folder / "notes.db")
        try:
            found = connection.execute("SELECT x, name FROM counts").fetchall()
        finally:
            connection.close()
        return [{"x": x, "name": name} for x, name in found]


def test_the_flow_runs(tmp_path):
    (tmp_path / "main.py").write_text(SOURCE + SINK + FLOW)
    found = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.stdout == "[(4,)]\n", found.stderr
    assert list((tmp_path / "inbox").iterdir()) == []


@pytest.mark.parametrize("code", [SOURCE, SINK], ids=["source", "sink"])
def test_an_example_is_short(code):
    lines = [line for line in code.splitlines() if line.strip() and "import" not in line]
    assert len(lines) <= 35


def test_the_look_before_a_run_says_what_is_missing_and_how_to_mend_it(tmp_path):
    names = {"Sequence": Sequence, "Env": Env, "label_of": label_of}
    names |= {"Finding": Finding, "Health": Health}
    exec(CHECK, names)  # noqa: S102  (the page's own example)
    notes = sys.modules["connectors_example"].Notes("inbox")
    (missing,) = asyncio.run(names["check"](notes, Env()))
    assert (missing.health, missing.cure) == (Health.ERROR, "make the folder")
    (tmp_path / "inbox").mkdir()
    (there,) = asyncio.run(names["check"](notes, Env()))
    assert (there.health, there.cure) == (Health.OK, "")
