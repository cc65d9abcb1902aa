"""What counts as a change of code."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from watchfiles import Change

from buildflow_nb.cli.code_changes import CodeChanges, CodeFilter


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("main.py", True),
        ("shop/deep/steps.py", True),
        ("buildflow.yaml", True),
        ("shop/buildflow.yaml", False),
        ("out.csv", False),
        ("data/out.parquet", False),
        ("shop.ipynb", False),
        ("main.py.swp", False),
        (".buildflow/builds/main.py", False),
        (".git/hooks/a.py", False),
        ("__pycache__/main.py", False),
        (".venv/lib/a.py", False),
        ("node_modules/a.py", False),
        ("environment/lib/a.py", False),
        (".ipynb_checkpoints/a.py", False),
    ],
)
def test_only_code_counts(tmp_path, name, counts):
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "pyvenv.cfg").touch()
    assert CodeFilter(tmp_path)(Change.modified, str(tmp_path / name)) is counts


def test_a_project_below_a_hidden_folder_is_watched(tmp_path):
    folder = tmp_path / ".hidden" / "shop"
    assert CodeFilter(folder)(Change.modified, str(folder / "main.py"))


def told(monkeypatch, changes, *found):
    """What is told when the watcher has found these."""
    monkeypatch.setattr("buildflow_nb.cli.code_changes.watch", lambda *_, **__: iter(found))
    return list(changes)


def test_a_file_that_was_only_touched_has_not_changed(tmp_path, monkeypatch):
    path = tmp_path / "main.py"
    path.write_text("x = 1\n")
    changes = CodeChanges(tmp_path, threading.Event())
    event = {(Change.modified, str(path))}
    assert told(monkeypatch, changes, event, set()) == [[], []]
    path.write_text("x = 2\n")
    assert told(monkeypatch, changes, event, event) == [["main.py"], []]
    path.unlink()
    assert told(monkeypatch, changes, {(Change.deleted, str(path))}) == [["main.py"]]


def test_a_new_file_has_changed(tmp_path, monkeypatch):
    changes = CodeChanges(tmp_path, threading.Event())
    (tmp_path / "new.py").write_text("")
    assert told(monkeypatch, changes, {(Change.added, str(tmp_path / "new.py"))}) == [["new.py"]]


def test_what_was_saved_before_the_watcher_was_there_is_not_missed(tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text("x = 1\n")
    changes = CodeChanges(tmp_path, threading.Event())
    (tmp_path / "main.py").write_text("x = 2\n")
    (tmp_path / "new.py").write_text("")
    assert told(monkeypatch, changes, set(), set()) == [["main.py", "new.py"], []]


def test_environments_and_caches_are_not_even_looked_into(tmp_path, monkeypatch):
    for name in ("main.py", "shop/a.py", ".venv/b.py", "mine/c.py", "node_modules/d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "mine" / "pyvenv.cfg").touch()
    looked = []
    walk = os.walk

    def walked(top):
        for found in walk(top):
            looked.append(Path(found[0]).name)
            yield found

    monkeypatch.setattr("buildflow_nb.cli.code_changes.os", SimpleNamespace(walk=walked))
    changes = CodeChanges(tmp_path, threading.Event())
    assert sorted(changes._seen) == [tmp_path / "main.py", tmp_path / "shop" / "a.py"]
    assert sorted(looked) == sorted([tmp_path.name, "shop"])
