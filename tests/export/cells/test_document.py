"""A saved file and a kernel: the file's order, what really ran, and every difference told."""

from __future__ import annotations

import os

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell, export_flow
from buildflow_nb.export.cells.document import document_of
from buildflow_nb.export.cells.saved import read_saved
from buildflow_nb.export.messages import Messages
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, code, saved, text

SAVED_AT = 1_000.0
BEFORE, AFTER = SAVED_AT - 10, SAVED_AT + 10
ANEW = DOUBLE.replace("2 * x", "5 * x")


@pytest.fixture
def file(tmp_path):
    """Makes a notebook file that was saved at SAVED_AT."""

    def make(*cells):
        path = saved(tmp_path / "shop.ipynb", *cells)
        os.utime(path, (SAVED_AT, SAVED_AT))
        return path

    return make


def both(path, *ran):
    """Sources in the order of an export, and what is said."""
    findings = Messages()
    document = document_of(ran, read_saved(path), findings)
    return [cell.source for cell in document.cells], list(findings.warnings), document


def ran(source, number, cell_id=None, at=BEFORE, **words):
    return RanCell(source, number, cell_id=cell_id, at=at, **words)


def test_the_order_is_the_files(file):
    path = file(code("a = 1", 1, "A"), code("b = 2", 2, "B"))
    sources, said, _ = both(path, ran("b = 2", 1, "B"), ran("a = 1", 2, "A"))
    assert (sources, said) == (["a = 1", "b = 2"], [])


def test_without_ids_the_text_tells(file):
    path = file(code("a = 1  \n"), code("b = 2"))
    sources, said, _ = both(path, ran("b = 2", 1), ran("a = 1", 2, "vscode-cell:1"))
    assert (sources, said) == (["a = 1", "b = 2"], [])


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (
            BEFORE,
            "cell [1] was edited since it ran; what ran is exported, run it to export the new",
        ),
        (AFTER, "cell [1] ran after shop.ipynb was saved; what ran is exported"),
        (None, "cell [1] is another one in shop.ipynb; what ran is exported"),
    ],
)
def test_a_cell_that_differs_is_exported_as_it_ran(file, at, said):
    path = file(code("a = 'new'", 1, "A"), code("b = 2", 2, "B"))
    sources, warnings, _ = both(path, ran("a = 'ran'", 1, "A", at), ran("b = 2", 2, "B"))
    assert sources == ["a = 'ran'", "b = 2"]
    assert warnings == [said]


def test_without_ids_a_cell_that_differs_is_known_by_what_it_defines(file):
    path = file(code(ANEW), code("b = 2"))
    sources, warnings, _ = both(path, ran(DOUBLE, 1), ran("b = 2", 2))
    assert sources == [DOUBLE, "b = 2"]
    assert warnings == [
        "cell [1] was edited since it ran; what ran is exported, run it to export the new"
    ]


def test_a_mark_counts_at_once(file):
    path = file(code("# buildflow: skip\na = 1", 1, "A"), code("b = 2", 2, "B"))
    _, warnings, document = both(path, ran("a = 1", 1, "A"), ran("b = 2", 2, "B"))
    assert [cell.mark for cell in document.cells] == ["skip", ""]
    assert warnings == []


def test_a_cell_that_never_ran_stays_behind(file):
    path = file(code("a = 1", 1, "A"), code("\nb = 2", None, "B"), code("%time", None, "C"))
    sources, warnings, document = both(path, ran("a = 1", 1, "A"))
    assert sources == ["a = 1"]
    assert warnings == [
        "never ran well in this kernel, so it stays behind: cell [ ] (code cell no. 2); "
        "run what the flow needs"
    ]
    (left,) = document.left_out
    assert (left.cell, left.line, left.text, left.why) == (
        "cell [ ] (code cell no. 2)",
        2,
        "b = 2",
        "never ran in this kernel",
    )


def test_what_a_cell_sets_that_never_ran_is_missing(file, tmp_path):
    path = file(code(LOAD, 1, "L"), code("rate = 2", None, "R"), code(DOUBLE, 2, "D"))
    cells = (ran(f"{LOAD}\n{NUMBERS}", 1, "L"), ran(f"{DOUBLE} * rate", 2, "D"))
    with pytest.raises(
        UsageError,
        match=r"'rate' \(used in cell \[2\] line 3; set in cell \[ \] \(code cell no. 2\), ",
    ):
        export_flow(cells, tmp_path / "shop", notebook=path)


def test_a_cell_that_was_deleted_stays_behind(file):
    path = file(code("a = 1", 1, "A"))
    sources, warnings, document = both(path, ran("a = 1", 1, "A"), ran("b = 2", 2, "B"))
    assert sources == ["a = 1"]
    assert warnings == [
        "ran, but not in shop.ipynb when it was saved: cell [2]; what is deleted is not exported"
    ]
    assert [(one.text, one.why) for one in document.left_out] == [
        ("b = 2", "deleted from shop.ipynb")
    ]


@pytest.mark.parametrize("at", [AFTER, None])
def test_a_cell_that_is_newer_than_the_file_is_kept(file, at):
    path = file(code("a = 1", 1, "A"), code("c = 3", 3, "C"))
    cells = (ran("a = 1", 1, "A"), ran("b = 2", 2, "B", at), ran("c = 3", 3, "C"))
    sources, warnings, _ = both(path, *cells)
    assert sources == ["a = 1", "b = 2", "c = 3"]
    assert warnings == ["cell [2] ran and is not in shop.ipynb; it is exported"]


def test_repeats_without_ids_are_one_cell(file):
    path = file(code("a = 1"), code("b = 2"))
    sources, warnings, _ = both(path, ran("a = 1", 1), ran("b = 2", 2), ran("a = 1", 3, at=AFTER))
    assert (sources, warnings) == (["a = 1", "b = 2"], [])


def test_another_notebooks_file_is_exported_as_it_is_saved(file):
    path = file(code("x = 1", 7, "X"))
    sources, warnings, _ = both(path, ran("a = 1", 1, "A"))
    assert sources == ["x = 1"]
    assert warnings == ["no cell of shop.ipynb ran in this kernel: exported as it is saved"]


def test_a_file_alone_tells_of_cells_that_never_ran(file):
    path = file(code("a = 1", 4), code("b = 2"), code("%load_ext x"), code("c = 3", 4))
    sources, warnings, document = both(path)
    assert sources == ["a = 1", "b = 2", "%load_ext x", "c = 3"]
    assert warnings == [
        "never run when the file was saved, and exported: cell [ ] (code cell no. 2)"
    ]
    assert [cell.label for cell in document.cells] == [
        "cell [4] (code cell no. 1)",
        "cell [ ] (code cell no. 2)",
        "cell [ ] (code cell no. 3)",
        "cell [4] (code cell no. 4)",
    ]


def test_a_file_that_never_ran_is_no_matter(file):
    assert both(file(code("a = 1"), code("b = 2")))[1] == []


def test_one_title_and_sections(file):
    path = file(
        text("# Shop\n\n## Set up"),
        code("a = 1"),
        code("b = 2"),
        text("## Rest\n### More"),
        code("c = 3"),
    )
    _, _, document = both(path)
    assert document.title == "Shop"
    assert [[h.text for h in section] for section in document.sections] == [
        [],
        ["Set up"],
        ["Rest", "More"],
    ]
    assert [cell.section for cell in document.cells] == [1, 1, 2]


def test_many_titles_are_headings(file):
    path = file(text("# One"), code("a = 1"), text("# Two"), code("b = 2"))
    _, _, document = both(path)
    assert document.title == ""
    assert [[h.text for h in section] for section in document.sections] == [[], ["One"], ["Two"]]
