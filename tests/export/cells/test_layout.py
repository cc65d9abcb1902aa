"""A decorator that a magic line became looks as ruff would have it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from buildflow_nb.export.cells.layout import laid_out

LONG, LONGER = "x" * 30, "y" * 50


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "numbers",
        "source=numbers,sink=out",
        "numbers ,  out",
        "'/in', \"POST\"",
        "'/in', 'a \"quote\"'",
        f"source={LONG}, sink={LONG}",
        f"source={LONG}, sink={LONG}, id={LONG}",
        f"source={LONG}, sink={LONGER}, id={LONG}",
        f"source=make({LONG}, {LONGER}), sink=out",
        f"source=make({LONG}, deep({LONGER}, {LONG})), sink=out",
        f"source=make({LONG})({LONG}).options(a={LONG}), sink=out",
        f"*{LONG}, **{LONGER}",
        "source=numbers, sink=out,",
        "source=make(a, b,), sink=out",
        f"'{LONGER}{LONGER}'",
        "source=rows[1:2], sink={'a': [1, 2]}",
    ],
)
def test_as_ruff_has_it(arguments):
    shown = laid_out(f"@app.consumer({arguments})")
    text = f"{shown}\ndef f(x): ...\n"
    asked = [sys.executable, "-m", "ruff", "format", "--isolated", "--quiet", "-"]
    done = subprocess.run(asked, input=text, capture_output=True, text=True, check=True)
    assert text == done.stdout


def test_comments_stay(tmp_path):
    typed = "@app.consumer(source=numbers,  # all of them\n    sink=out)"
    assert laid_out(typed) == typed
