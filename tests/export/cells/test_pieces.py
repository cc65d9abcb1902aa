"""Comments of kept code are kept, and blank lines are as a formatter has them."""

from __future__ import annotations

import pytest

from buildflow_nb.export.cells.layout import laid_out
from buildflow_nb.export.code import tidy
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, code, exported, program, saved, text
from tests.export.ruff import problems


@pytest.fixture(autouse=True)
def _no_ruff(monkeypatch):
    """The text has to be right by itself."""
    monkeypatch.setattr(tidy, "_ruff", lambda: None)


def part(main):
    """A program after its imports, without the declaration and what follows."""
    return main.partition("import Pulse\n")[2].partition("\n\napp = Flow()")[0].strip("\n")


def of(folder, *cells, use="rate"):
    main, _ = exported(folder, LOAD, NUMBERS, *cells, DOUBLE.replace("2 * x", use))
    assert problems(folder, "main.py") == ""
    return part(main).replace(NUMBERS, "").strip("\n")


@pytest.mark.parametrize(
    "cell",
    [
        "# above\n# and above\nrate = 1  # beside",
        "# far above\n\n# above\nrate = 1",
        "# far above\n\nrate = 1\n\n# below",
        "rate = [\n    1,  # inside\n]",
        "# one\nfirst = 1\n\n# two\nrate = first",
        "first = 1\nrate = first",
        "if True:\n    rate = 1\n    # the end of it",
        "# a class\n@staticmethod\ndef rate():\n    # in\n    return 1  # one\n    # the end",
        "# about it\n\n\ndef rate():\n    return 1\n\n\n# about nothing",
        "try:\n    rate = 1\nexcept ValueError:\n\n    def rate():\n        return 1",
    ],
)
def test_a_cell_stays_as_it_is(tmp_path, cell):
    assert of(tmp_path, cell) == cell


def test_blank_lines_between_what_is_kept(tmp_path):
    cell = "first = 1\nprint(first)\n\n\n\nrate = first\ndef f():\n    return rate\nlast = f()"
    assert of(tmp_path, cell, use="last") == (
        "first = 1\n\nrate = first\n\n\ndef f():\n    return rate\n\n\nlast = f()"
    )


def test_several_statements_in_a_line(tmp_path):
    cell = "rate = 1; other = 2; late = 3;  # three\nlate"
    assert of(tmp_path, cell, use="rate + late") == "rate = 1\nlate = 3  # three"


def test_a_comment_of_what_is_not_kept_stays_behind(tmp_path):
    cell = "# shown\nprint(1)\n# kept\nrate = 1\n# shown again\nprint(2)"
    assert of(tmp_path, cell) == "# kept\nrate = 1"


def test_comments_of_imports(tmp_path):
    cell = (
        "# about the cell\n\nimport sys\n# why json\nimport json  # of json\n# a\nimport ast\n"
        "from os import path, sep  # of both\nfrom typing import (\n    Any,  # anything\n"
        "    # nobody's\n    cast,\n)\n\nrate = [json, path, sep, Any, cast, sys, ast]"
    )
    main, _ = exported(tmp_path, LOAD, NUMBERS, cell, DOUBLE.replace("2 * x", "rate"))
    assert problems(tmp_path, "main.py") == ""
    assert "# why json\nimport json  # of json\n" in main
    assert "# of both\nfrom os import path, sep\n" in main
    assert "# nobody's\nfrom typing import (\n    Any,  # anything\n    cast,\n)\n" in main
    assert "# about the cell\nrate = [" in main


def test_a_comment_about_a_cell_of_imports(tmp_path):
    cell = "# all we need\n\nimport json"
    main, _ = exported(tmp_path, LOAD, NUMBERS, cell, DOUBLE.replace("2 * x", "json"))
    assert "# all we need\nimport json\n" in main


def test_comments_of_imports_that_are_merged(tmp_path):
    cells = ("from os import sep  # the slash", "from os import (\n    path,  # the path\n)")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, DOUBLE.replace("2 * x", "[sep, path]"))
    assert problems(tmp_path, "main.py") == ""
    assert "from os import (\n    path,  # the path\n    sep,  # the slash\n)\n" in main


def test_headings(tmp_path):
    path = saved(
        tmp_path / "s.ipynb",
        text("# The *shop*\n\n## Not kept"),
        code("1 + 1"),
        text("intro\n\n## Set up ##\n\n```sh\n# no heading\n```\n### Load"),
        LOAD,
        NUMBERS,
        code("rate = 1"),
        text("Types\n-----\n#no heading\n#hashtag"),
        code("# a bill\nclass Bill:\n    sum = 1"),
        text("## Double it"),
        code(f"{DOUBLE} * rate * Bill.sum"),
    )
    main, _ = program(path)
    assert problems(tmp_path / "shop", "main.py") == ""
    assert '"""The *shop*."""' in main
    assert "\n\n\n# Types\n# a bill\nclass Bill:" in main
    assert "\n\n# Set up\n# Load\nnumbers = " in main
    assert "\n\n\n# Double it\n@app.consumer(source=numbers)\n" in main
    assert "Not kept" not in main
    assert "no heading" not in main
    assert main.index("# Types") < main.index("# Set up") < main.index("# Double it")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("source=numbers,sink=out", "@app.consumer(source=numbers, sink=out)"),
        ("numbers", "@app.consumer(numbers)"),
        (
            f"source=numbers, sink=out, id='{'i' * 50}'",
            f'@app.consumer(\n    source=numbers, sink=out, id="{"i" * 50}"\n)',
        ),
        (
            f"source=make('{'a' * 35}', '{'b' * 35}'), sink=out",
            f'@app.consumer(\n    source=make(\n        "{"a" * 35}", "{"b" * 35}"\n    ),\n'
            "    sink=out,\n)",
        ),
        ("source=numbers, sink=out,", "@app.consumer(\n    source=numbers,\n    sink=out,\n)"),
        ("source=list([\n    numbers\n])[0]", "@app.consumer(source=list([\n    numbers\n])[0])"),
        ("source=numbers,  # all\n    sink=out", None),
    ],
)
def test_decorators_are_laid_out(cell, shown):
    typed = f"@app.consumer({cell})"
    assert laid_out(typed) == (typed if shown is None else shown)
