"""Cells as people write them: marks, errors, commands, and what is defined more than once."""

from __future__ import annotations

import sys

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell
from buildflow_nb.export.cells.document import document_of
from buildflow_nb.export.cells.reading import read
from buildflow_nb.export.code.selection import select
from buildflow_nb.export.messages import Messages
from tests.export.notebook import (
    DOUBLE,
    LOAD,
    NUMBERS,
    PLAIN,
    code,
    declared,
    exported,
    of_cells,
    program,
    refused,
    saved,
    text,
    why,
)

STAR = "from odd import *"


def test_skip_and_keep_by_a_comment(tmp_path):
    cells = (
        "# buildflow: skip\n" + DOUBLE.partition("\n")[2].replace("double", "other"),
        "\n#Buildflow:KEEP\nprint('here')\nx = 3",
        "%%buildflow consumer source=numbers\n# buildflow: skip\ndef gone(x: int): ...",
    )
    main, report = exported(tmp_path, *PLAIN, *cells)
    assert 'print("here")' in main
    assert "x = 3" in main
    assert "other" not in main
    assert "gone" not in main
    assert "buildflow: " not in main.lower().replace("buildflow: skip", "")
    assert why(report)["def other(x: int) -> int:"] == "marked skip"


@pytest.mark.parametrize("tag", ["keep", "Keep", "buildflow:keep", "buildflow-keep"])
def test_tags_say_the_same(tmp_path, tag):
    path = saved(
        tmp_path / "shop.ipynb",
        *PLAIN,
        code("x = 3", 4, tags=["other", tag]),
        code(
            "%%buildflow consumer source=numbers\ndef gone(x: int): ...", 5, tags=["skip", "keep"]
        ),
        code("# buildflow: keep\ny = 4", 6, tags=["skip"]),
    )
    main, _ = program(path)
    assert "x = 3" in main
    assert "gone" not in main
    assert "y = 4" in main


def test_a_mark_of_another_word_is_said(tmp_path):
    _, report = exported(tmp_path, *PLAIN, "# buildflow: skpi\nx = 1")
    assert of_cells(report) == [
        "cell [4] line 1: # buildflow: skpi says nothing; did you mean 'skip'?; write skip or keep",
    ]


def test_what_a_skipped_cell_sets_is_missing(tmp_path):
    (reason,) = refused(tmp_path, *PLAIN[:2], "# buildflow: skip\nrate = 2", f"{DOUBLE} * rate")
    assert "'rate' (used in cell [4] line 3; set in cell [3], marked skip)" in reason


def test_a_syntax_error_in_what_is_not_needed(tmp_path):
    main, report = exported(tmp_path, *PLAIN, "x = 1\ndef broken(:\n    pass")
    assert "broken" not in main
    assert why(report)["x = 1"] == "no Python by itself: line 2: invalid syntax"


def test_a_syntax_error_in_what_is_needed(tmp_path):
    (reason,) = refused(tmp_path, LOAD, NUMBERS, "\nrate = 1\nx = = 2", f"{DOUBLE} * rate")
    assert (
        "'rate' (used in cell [4] line 3; set in cell [3], no Python by itself: line 3: " in reason
    )


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (f"{DOUBLE} +", "cell [3] line 3: invalid syntax"),
        (
            "%%buildflow consumer source=numbers\ndef price_🚀(x: int): ...",
            "cell [3] line 2: invalid",
        ),
        (
            "%%buildflow consumr source=numbers\ndef f(x): ...",
            "cell [3] line 1: %%buildflow: unknown",
        ),
        ("@app.consumer(source=numbers)\ndef f(x:\n    pass", "cell [3] line 2: "),
    ],
)
def test_an_error_in_what_declares(tmp_path, cell, said):
    first, *_ = refused(tmp_path, LOAD, NUMBERS, cell)
    assert first.startswith(said)
    assert "the cell declares a part of the flow, so mend it" in first


def test_questions_are_no_declarations(tmp_path):
    main, _ = exported(tmp_path, *PLAIN, "%%buildflow consumer -h", "%%buildflow?")
    assert main.count("@app") == 1


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    cells = (
        "rate = await 3",
        "files = !ls",
        "import nowhere_at_all\nfrom nowhere.deep import far",
        f"{DOUBLE} * rate * len(files) * gone * nowhere_at_all.y * far",
    )
    with pytest.raises(UsageError) as error:
        exported(tmp_path / "shop", LOAD, NUMBERS, *cells)
    head, *lines = str(error.value).split("\n")
    assert head == "5 things stand against this export, and nothing was written:"
    for line, start in zip(
        lines,
        (
            "  cell [3] line 1: await stands outside",
            "  cell [4] line 1: a magic or a command",
            "  cell [5] line 1: no installed package provides 'nowhere_at_all'",
            "  cell [5] line 2: no installed package provides 'nowhere.deep'",
            "  no cell that ran defines 'gone' (used in cell [6] line 3)",
        ),
        strict=True,
    ):
        assert line.startswith(start)


def test_two_cells_of_one_processor(tmp_path):
    anew = DOUBLE.replace("2 * x", "5 * x")
    path = saved(tmp_path / "shop.ipynb", *PLAIN, anew)
    main, report = program(path)
    assert "2 * x" not in main
    assert main.count("def double") == 1
    assert why(report)["@app.consumer(source=numbers)"] == "written anew in cell [4]"


def test_of_two_the_one_that_ran_last(tmp_path):
    anew = DOUBLE.replace("2 * x", "5 * x")
    path = saved(tmp_path / "s.ipynb", *PLAIN[:2], code(DOUBLE, 9), code(anew, 4))
    assert "2 * x" in program(path)[0]


def test_pip_and_shell_stay_behind(tmp_path):
    cells = ("!pip install numpy", "%pip install numpy", "x = !ls", "!ls \\\n  -la\ny = 1")
    main, report = exported(tmp_path, *PLAIN, *cells)
    assert "pip" not in main
    assert why(report)["!pip install numpy"] == "a magic"
    assert why(report)["y = 1"] == "not needed by the flow"


def test_line_magics_become_commands(tmp_path):
    run = "%buildflow run --port 8001\n%buildflow apply --yes\n%buildflow peek double"
    path = saved(tmp_path / "shop.ipynb", *PLAIN, run, "%buildflow run --port 8001\n%matplotlib")
    main, report = program(path)
    assert report.commands == ("buildflow run --port 8001", "buildflow apply --yes")
    assert "get_ipython" not in main


@pytest.mark.parametrize(
    "line",
    ["%buildflow remove triple", "app.remove('triple')", "if True:\n    app.remove('triple')"],
)
def test_a_removed_processor_is_not_exported(tmp_path, line):
    triple = DOUBLE.replace("double", "triple")
    main, report = exported(tmp_path, *PLAIN, triple, line)
    assert list(declared(main)["app"].processors) == ["double"]
    assert "triple" not in main
    assert why(report)["def triple(x: int) -> int:"] == "taken out of the flow"


def test_what_was_declared_again_after_that_is(tmp_path):
    triple = DOUBLE.replace("double", "triple")
    main, _ = exported(tmp_path, *PLAIN, triple, "%buildflow remove triple", triple)
    assert sorted(declared(main)["app"].processors) == ["double", "triple"]


def test_a_removed_processor_that_is_called_is_a_function(tmp_path):
    use = DOUBLE.replace("double", "six").replace("2 * x", "3 * double(x)")
    main, _ = exported(tmp_path, *PLAIN, use, "%buildflow remove double")
    assert list(declared(main)["app"].processors) == ["six"]
    assert "\n\ndef double(x: int) -> int:" in main


def test_emoji_and_accents(tmp_path):
    cells = (
        "# 🚀 starts\ngrüße = '🛒'; ñ = 1",
        f"{DOUBLE} * len(grüße)  # → 🎉",
    )
    path = saved(tmp_path / "🛒.ipynb", text("# Der 🛒"), *PLAIN[:2], *cells)
    main, report = program(path, tmp_path / "läden 🛒")
    assert '"""Der 🛒."""' in main
    assert '# 🚀 starts\ngrüße = "🛒"\n' in main
    assert "# → 🎉" in main
    assert report.warnings == ()


def test_a_star_import_is_written_out(tmp_path):
    cells = ("from math import *\nfrom os.path import *", "from buildflow_nb.io.local import *")
    use = DOUBLE.replace("2 * x", "floor(x) + len(join('a', 'b')) + pi")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, use)
    assert "from math import floor, pi\n" in main
    assert "from os.path import join\n" in main
    assert "*" not in main.replace("2 *", "").partition("import Flow")[0].partition('"""')[2]


def test_a_star_import_of_a_users_module_runs_nothing(tmp_path, monkeypatch):
    helpers = "from deep import *\nRATE = 2\n_HIDDEN = 3\nraise SystemExit"
    (tmp_path / "helpers.py").write_text(helpers)
    (tmp_path / "deep.py").write_text("__all__ = ['DEEP']\nDEEP = 1\nOTHER = 2\nraise SystemExit")
    monkeypatch.chdir(tmp_path)
    use = f"{DOUBLE} * RATE * DEEP"
    main, _ = exported(tmp_path / "out", LOAD, NUMBERS, "from helpers import *", use)
    assert "from helpers import DEEP, RATE\n" in main
    assert "helpers" not in sys.modules
    (reason,) = refused(tmp_path, LOAD, NUMBERS, "from helpers import *", f"{use} * OTHER")
    assert "'OTHER'" in reason


def test_a_star_import_that_only_running_tells_of():
    findings = Messages()
    cells = [RanCell(source, i) for i, source in enumerate((*PLAIN[:2], STAR, f"{DOUBLE} * r"), 1)]
    notebook = read(document_of(cells, None, findings), findings)
    chosen = select(notebook, lambda node: None, findings)
    assert STAR in [s.code for s in chosen.statements]
    assert list(findings.refusals) == []
    assert list(findings.warnings) == [
        "cell [3] line 1: only running from odd import * tells whether it brings r; import names "
        "one by one",
    ]


def test_what_cannot_be_read_at_all(tmp_path):
    cells = ("x = 1\0", "(" * 300 + ")" * 300, "x = " + "-" * 30_000 + "1")
    main, report = exported(tmp_path, *PLAIN, *cells)
    assert "def double" in main
    assert len([one for one in report.left_out if "no Python" in one.why]) >= 2


def test_display_is_ipythons(tmp_path):
    (reason,) = refused(tmp_path, LOAD, NUMBERS, DOUBLE.replace("2 * x", "display(x)"))
    assert "write from IPython.display import display" in reason


def test_annotations_of_the_future(tmp_path):
    cell = "from __future__ import annotations\nfrom dataclasses import dataclass"
    types = "@dataclass\nclass A:\n    b: B | None\n@dataclass\nclass B:\n    x: int"
    main, _ = exported(tmp_path, cell, LOAD, NUMBERS, types, f"{DOUBLE} * len(str(A))")
    assert '"""\n\nfrom __future__ import annotations\n\nfrom dataclasses' in main
    assert "class A:" in main
