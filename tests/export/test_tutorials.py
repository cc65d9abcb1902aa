"""Every tutorial is exported as it is saved, and reads well: for ruff, and for a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildflow_nb.export import export_flow
from buildflow_nb.export.cells.layout import WIDTH
from buildflow_nb.export.code import tidy
from tests.export.ruff import problems

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_there_are_some():
    assert {path.stem for path in NOTEBOOKS} >= {"cloud", "quickstart"}


@pytest.mark.parametrize("package", [False, True])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial(tmp_path, path, package):
    report = export_flow((), tmp_path / "shop", notebook=path, package=package)
    assert report.warnings == ()
    assert problems(tmp_path / "shop") == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_without_ruff_only_long_lines_of_a_persons_own_differ(tmp_path, path, monkeypatch):
    monkeypatch.setattr(tidy, "_ruff", lambda: None)
    export_flow((), tmp_path / "shop", notebook=path)
    found = problems(tmp_path / "shop", "main.py").split("\n")
    changed = [line[1:] for line in found if line.startswith("-") and not line.startswith("---")]
    assert [line for line in changed if len(line) <= WIDTH] == []
    assert len(changed) < 5
    assert not any("[*]" in line for line in found)
