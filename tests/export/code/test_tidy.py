"""Programs as ruff has them: mended where it is safe, and what is left is said."""

from __future__ import annotations

import pytest

from buildflow_nb.export import export_flow
from buildflow_nb.export.code import tidy
from buildflow_nb.export.messages import ExportError
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, exported, ran

OLD = """from functools import lru_cache
from typing import Dict, Optional
class Kind: ...
@lru_cache(maxsize=None)
def rate(a: Optional[int], d: Dict[str, int], k: "Kind") -> int:
    return 2"""
USE = DOUBLE.replace("2 * x", "rate(x, None, None)")


def test_old_spellings_are_mended(tmp_path):
    text, report = exported(tmp_path, LOAD, NUMBERS, OLD, USE)
    assert "@cache\ndef rate(a: int | None, d: dict[str, int]," in text
    assert "from functools import cache\n" in text
    assert "typing" not in text
    assert report.warnings == ()


def test_what_cannot_be_mended_is_said_by_line(tmp_path):
    cell = "def rate():\n    try:\n        return 1\n    except Exception as e:\n        return 2"
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, DOUBLE.replace("2 * x", "rate()"))
    line = text.split("\n").index("    except Exception as e:") + 1
    said = f"main.py line {line}: ruff says F841: Local variable `e` is assigned to but never used"
    assert said in report.warnings


def test_without_ruff_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tidy, "_ruff", lambda: None)
    text, report = exported(tmp_path, LOAD, NUMBERS, OLD, USE)
    assert "Optional[int]" in text
    assert report.warnings == (
        "ruff is not installed here, so the program was not checked; pip install ruff",
    )


def test_all_there_is_to_look_at_is_told_before_anything_is_written(tmp_path):
    told = []
    cell = 'password = "hunter2"\nplace = "/home/me/orders.csv"'
    use = DOUBLE.replace("2 * x", "len(password + place)")

    def tell(warnings):
        assert not (tmp_path / "shop").exists()
        told.extend(warnings)

    report = export_flow(ran(LOAD, NUMBERS, cell, use), tmp_path / "shop", tell=tell)
    assert tuple(told) == report.warnings
    assert [warning[:15] for warning in told] == ["cell [3] line 1", "cell [3] line 2"]


def test_a_refusal_says_what_there_is_to_look_at_besides(tmp_path):
    cell = 'password = "hunter2"\nplace = "/home/me/orders.csv"'
    use = DOUBLE.replace("2 * x", "len(password + place) + nowhere")
    with pytest.raises(ExportError) as refused:
        exported(tmp_path / "shop", LOAD, NUMBERS, cell, use)
    (reason,) = refused.value.reasons
    assert "no cell that ran defines 'nowhere'" in reason
    told = str(refused.value)
    assert "\nand look at:\n  cell [3] line 1: password is written out" in told
    assert "\n  cell [3] line 2: '/home/me/orders.csv' is a path of this machine" in told
    assert not (tmp_path / "shop").exists()


def test_what_is_said_is_in_the_order_of_the_cells(tmp_path):
    cells = ('place = "/home/me/a.csv"', 'password = "hunter2"\nother = "/home/me/b.csv"')
    use = DOUBLE.replace("2 * x", "len(password + place + other)")
    _, report = exported(tmp_path, LOAD, NUMBERS, *cells, use)
    heads = [warning.partition(":")[0] for warning in report.warnings]
    assert heads == ["cell [3] line 1", "cell [4] line 1", "cell [4] line 2"]
