"""Cells that ran in another order than they stand are told of, where it matters to the flow."""

from __future__ import annotations

import pytest

from tests.export.notebook import DOUBLE, LOAD, NUMBERS, code, program, saved


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((1, 2, 3, 4), ()),
        (
            (1, 9, 3, 4),
            (
                "cell [9] line 1 sets 'numbers' above cell [4] line 2, which uses it, but "
                "ran after it; in the program it stands first",
            ),
        ),
        ((1, 2, 3, 2), ()),
        ((9, 2, 3, 4), ()),  # imports
        ((1, 2, 9, 4), ()),  # a function that is only called later
    ],
)
def test_a_value_that_was_set_anew(tmp_path, numbers, said):
    cells = (LOAD, NUMBERS, "def rate():\n    return 1", f"{DOUBLE} * rate()")
    made = [code(cell, number) for cell, number in zip(cells, numbers, strict=True)]
    _, report = program(saved(tmp_path / "s.ipynb", *made))
    assert report.warnings == said


def test_a_cell_below_that_ran_before(tmp_path):
    cells = (code(LOAD, 1), code("numbers = Pulse(iter(range(top)), 0.1)", 3), code("top = 3", 2))
    main, report = program(saved(tmp_path / "s.ipynb", *cells, code(DOUBLE, 4)))
    assert main.index("top = 3") < main.index("numbers =")
    assert report.warnings == (
        "cell [2] line 1 sets 'top' below cell [3] line 1, which uses it, but ran before it; in "
        "the program it stands first",
    )
