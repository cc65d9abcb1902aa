"""Paths of this machine, and of the notebook's folder, are told of by cell and line."""

from __future__ import annotations

import pytest

from tests.export.notebook import DOUBLE, LOAD, NUMBERS, PLAIN, exported

ABSOLUTE = (
    " is a path of this machine; use one that is relative to the project, or read it from the "
)


def said(folder, text):
    cell = f"place = {text}"
    _, report = exported(folder / "shop", LOAD, NUMBERS, cell, f"{DOUBLE} * len(str(place))")
    return list(report.warnings)


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/orders.csv",
        "/Users/me/data",
        "/tmp/x",  # noqa: S108
        "/data/orders.csv",
        "~/orders.csv",
        "C:\\data\\orders.csv",
        "D:/data",
        "\\\\server\\share",
        "file:///data/x",
        "/usr/bin",
    ],
)
def test_a_path_of_this_machine(tmp_path, path):
    (warning,) = said(tmp_path, repr(path))
    assert warning.startswith(f"cell [3] line 1: {path!r}{ABSOLUTE}")


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/orders",
        "/orders/{id}",
        "/v1/orders",
        "//x/y.z",
        "a/b.csv",
        "https://x/y.csv",
        "C:",
        "",
    ],
)
def test_what_is_no_path_of_this_machine(tmp_path, text):
    assert said(tmp_path, repr(text)) == []


def test_routes_and_docstrings_are_none(tmp_path):
    cell = (
        '%%buildflow endpoint "/home/me.json"\ndef home() -> int:\n    "/home/me/x"\n    return 1'
    )
    _, report = exported(tmp_path, *PLAIN, cell)
    assert report.warnings == ()


def test_what_stays_behind_is_no_matter(tmp_path):
    _, report = exported(tmp_path, *PLAIN, "open('/home/me/orders.csv')")
    assert report.warnings == ()


def test_a_file_beside_the_notebook(tmp_path, monkeypatch):
    (tmp_path / "orders.jsonl").write_text("{}")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert said(tmp_path, "'orders.jsonl'") == [
        "cell [3] line 1: 'orders.jsonl' lies beside the notebook; the program looks for it in the "
        "folder in which it is started, so copy it there"
    ]
    (tmp_path / "shop").rename(tmp_path / "old")
    assert said(tmp_path, "'data'") == []
