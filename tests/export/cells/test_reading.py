"""Cells as people write them: marks, errors, commands, and what is defined more than once."""

from __future__ import annotations

import sys

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell, export_flow
from buildflow_nb.export.cells.document import document_of
from buildflow_nb.export.cells.reading import read
from buildflow_nb.export.code.selection import select
from buildflow_nb.export.messages import ExportError, Messages
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
    saved,
    text,
)

STAR = "from odd import *"


def refused(folder, *cells):
    """All reasons; nothing is written."""
    with pytest.raises(ExportError) as error:
        exported(folder / "shop", *cells)
    assert not (folder / "shop").exists()
    return error.value.reasons


def why(report):
    return {one.text: one.why for one in report.left_out}


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


def test_a_processor_that_is_added_by_name(tmp_path):
    cells = (
        "from buildflow_nb import consumer\n@consumer(source=numbers)\ndef six(x: int): ...",
        "app.add_consumer(six)",
        "app.remove('six')",
    )
    main, _ = exported(tmp_path / "a", *PLAIN, *cells[:2])
    assert sorted(declared(main)["app"].processors) == ["double", "six"]
    main, _ = exported(tmp_path / "b", *PLAIN, *cells)
    assert list(declared(main)["app"].processors) == ["double"]


@pytest.mark.parametrize(
    "cells",
    [
        ("class C:\n    size = 2", "class C(C):\n    more = 1"),
        ("class C:\n    size = 2", "C.more = 1"),
        ("class C:\n    size = 2", "def more(self):\n    return 1\nC.more = more"),
        ("class C:\n    more = 1", "c = C()", "class C:\n    size = 2", "C.more = c.more"),
    ],
)
def test_a_class_over_several_cells(tmp_path, cells):
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, f"{DOUBLE} * C.size * len(str(C.more))")
    made = declared(main)["C"]
    assert made.size == 2
    assert made.more == 1 or made().more() == 1


def test_a_class_that_is_written_anew_is_there_once(tmp_path):
    cells = ("class C:\n    size = 1", "C()", "class C:\n    size = 2")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, f"{DOUBLE} * C.size")
    assert main.count("class C") == 1
    assert declared(main)["C"].size == 2


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


def test_the_notebooks_own_folder_is_not_written_to(tmp_path):
    path = saved(tmp_path / "shop.ipynb", *PLAIN)
    with pytest.raises(UsageError, match="is the folder of the notebook; name another one"):
        export_flow((), tmp_path, notebook=path, force=True)


def test_a_cell_that_failed_since_and_a_file(tmp_path):
    path = saved(tmp_path / "shop.ipynb", *PLAIN)
    cells = [RanCell(source, i) for i, source in enumerate(PLAIN, 1)]
    cells[2] = RanCell(DOUBLE, 3, failed_since=True)
    report = export_flow(cells, tmp_path / "out", notebook=path)
    assert report.warnings == (
        "cell [3] failed when it ran last; its source before that is exported",
    )


@pytest.mark.parametrize(
    "cells",
    [
        ("def add(source):\n    app.consumer(source)(six)", "add(numbers)"),
        ("def add(source):\n    app.add_consumer(source)\n", "later = lambda: 1\nsix.x = 1\n"),
        (
            "def deep(s):\n    app.consumer(s)(six)\ndef add(s):\n    deep(s)",
            "[add(s) for s in (numbers,)]",
        ),
    ],
)
def test_a_function_that_declares(tmp_path, cells):
    six = "def six(x: int) -> int:\n    return 6"
    main, _ = exported(tmp_path, *PLAIN, six, *cells)
    assert ("six" in declared(main)["app"].processors) == ("add(" in cells[1])
    assert ("def add" in main) == ("add(" in cells[1])


def test_the_flow_may_be_asked_when_a_function_is_called(tmp_path):
    cells = (
        "def state() -> str:\n    return str(app.snapshot())",
        "%%buildflow endpoint '/state'\ndef get() -> str:\n    return state()",
        "print(state())",
        "def go():\n    app.run()\ngo()",
    )
    main, _ = exported(tmp_path, *PLAIN, *cells)
    assert "def state()" in main
    assert "print" not in main
    assert main.count("app.run()") == 1


def test_annotations_of_the_future(tmp_path):
    cell = "from __future__ import annotations\nfrom dataclasses import dataclass"
    types = "@dataclass\nclass A:\n    b: B | None\n@dataclass\nclass B:\n    x: int"
    main, _ = exported(tmp_path, cell, LOAD, NUMBERS, types, f"{DOUBLE} * len(str(A))")
    assert '"""\n\nfrom __future__ import annotations\n\nfrom dataclasses' in main
    assert "class A:" in main


def test_what_a_cell_shows_stays_behind_and_set_up_does_not(tmp_path):
    cells = (
        "import logging\nlogging.basicConfig(level='ERROR')",
        "rows = [3, 1, 2]\nrows.sort()",
        "rows.copy()",
        "names = {}\nnames.setdefault('a', 1)\nnames.plot()\nnames.info()\nnames.keys()",
        "import duckdb\nduckdb.sql('select 1')",
    )
    use = DOUBLE.replace("2 * x", "[logging, rows, names, duckdb]")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, use)
    for kept in ("logging.basicConfig(", "rows.sort()", 'names.setdefault("a", 1)'):
        assert kept in main
    for gone in ("rows.copy()", "names.keys()", "plot", "info", "duckdb.sql"):
        assert gone not in main


def test_what_prepares_comes_along_and_pictures_do_not(tmp_path):
    cells = (
        "import os\nfrom time import time\nimport matplotlib.pyplot as plt\nos.makedirs('out')\n"
        "plt.set_loglevel('error')\nbegan = time()",
        "def init_shop():\n    return 1\n\ndef total():\n    return began\ninit_shop()",
        "os.makedirs('other')",
    )
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, f"{DOUBLE} * total()")
    assert 'os.makedirs("out")\n' in main
    assert "\n\n\ninit_shop()\n" in main
    assert "plt" not in main
    assert "other" not in main


def test_what_stays_behind_is_told_in_order(tmp_path):
    _, report = exported(tmp_path, "%%bash\nls", "1", *PLAIN, "2\n3", "def broken(:")
    assert [(one.cell, one.line) for one in report.left_out] == [
        ("cell [1]", 1),
        ("cell [2]", 1),
        ("cell [3]", 1),
        ("cell [6]", 1),
        ("cell [6]", 2),
        ("cell [7]", 1),
    ]


def test_a_call_that_changes_a_needed_value(tmp_path):
    cells = (
        "cache = {}\ncount = 0\n\n\ndef put(key):\n    cache[key] = 1\n\n\ndef bump():\n"
        "    global count\n    count += 1\n\n\ndef look():\n    cache.clear()\n    return cache",
        "put(1)",
        "for i in range(2):\n    put(10 + i)\n    bump()",
        "look()\nput.__name__",
    )
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, f"{DOUBLE} * len(cache) * count")
    names = declared(main)
    assert names["cache"] == {1: 1, 10: 1, 11: 1}
    assert names["count"] == 2
    assert "look" not in main


def test_a_call_of_a_processor_is_a_trial(tmp_path):
    cells = ("seen = []", DOUBLE.replace("return 2 * x", "seen.append(x)"), "double(3)")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells)
    assert "double(3)" not in main
    assert declared(main)["seen"] == []


def test_what_is_kept_alone_is_no_flow(tmp_path):
    (reason,) = refused(tmp_path, "# buildflow: keep\nx = 1")
    assert reason.startswith("nothing to export")


def test_no_line_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch = "rate = open('touched', 'w').write('x')\nraise SystemExit"
    path = saved(tmp_path / "nb/s.ipynb", *PLAIN[:2], touch, "!touch touched", f"{DOUBLE} * rate")
    main, _ = program(path)
    assert 'rate = open("touched", "w").write("x")' in main
    assert not list(tmp_path.rglob("touched"))


CHANGED = (
    ("items = [1]\nother = items", "other.append(9)", "items", [1, 9]),
    ("items = [3, 1]", "import heapq\nheapq.heappush(items, 0)", "items", [0, 1, 3]),
    ("items = {'a': 1}", "items.pop('a')", "items", {}),
    ("items = []\ndef fill(target):\n    target.append(1)", "fill(items)", "items", [1]),
    ("class items:\n    pass", "setattr(items, 'n', 2)", "items.n", 2),
    ("class items:\n    n, m = 1, 2", "del items.n", "vars(items).get('n')", None),
    (
        "items = []\ndef handler(f):\n    items.append(f.__name__)\n    return f",
        "@handler\ndef first(x): ...",
        "items",
        ["first"],
    ),
    (
        "class Plugin:\n    known = []\n    def __init_subclass__(cls): Plugin.known.append(1)\n"
        "items = Plugin",
        "class A(Plugin): ...",
        "items.known",
        [1],
    ),
    (
        "from functools import singledispatch\n@singledispatch\ndef items(x): return 0",
        "@items.register\ndef _(x: int): return 1\n@items.register\ndef _(x: str): return 2",
        "[items(1), items('')]",
        [1, 2],
    ),
)


@pytest.mark.parametrize(("cell", "change", "expression", "value"), CHANGED)
def test_what_changes_a_needed_value_in_a_cell_of_its_own_comes_along(
    tmp_path, cell, change, expression, value
):
    use = DOUBLE.replace("return 2 * x", "return len(str(items))")
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, change, use)
    assert eval(expression, declared(text)) == value  # noqa: S307  (a program of this very test)
    assert of_cells(report) == []


def test_what_may_change_a_needed_value_is_told(tmp_path):
    cells = (
        "class Model:\n    def go(self): ...\nmodel = Model()",
        "model.go()",
        "model.predict(1)",
    )
    use = DOUBLE.replace("2 * x", "len(str(model))")
    text, report = exported(tmp_path, LOAD, NUMBERS, *cells, use, "print(numbers)")
    assert "model.go()" not in text
    assert of_cells(report) == [
        "cell [4] line 1: it stays behind, and may change 'model', which the flow needs; if it "
        "does, write # buildflow: keep on the cell's first line",
    ]
    kept, report = exported(
        tmp_path / "kept", LOAD, NUMBERS, cells[0], f"# buildflow: keep\n{cells[1]}", use
    )
    assert "model.go()" in kept
    assert of_cells(report) == []
