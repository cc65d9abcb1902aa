"""What of a notebook comes along, and what stays behind and why."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell, export_flow
from tests.export.notebook import (
    DOUBLE,
    LOAD,
    NUMBERS,
    PLAIN,
    declared,
    exported,
    of_cells,
    program,
    refused,
    saved,
)


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


def test_dependencies_come_along(tmp_path):
    cells = (
        "from buildflow_nb.dependencies import Scope, dependency\nfrom typing import Annotated",
        "@dependency(Scope.REPLICA)\nclass DB:\n    size = 2",
        "@dependency(Scope.PROCESS)\ndef session(db: DB):\n    yield db",
        "class Fake:\n    size = 3",
        "with app.override(DB, Fake()):\n    app.send('three', 1)",
        "@app.consumer(source=numbers)\n"
        "def three(x: int, s: Annotated[DB, session]) -> int:\n    return x * s.size",
    )
    main, _ = exported(tmp_path, *PLAIN, *cells)
    app = declared(main)["app"]
    assert [one.name for one in app.processor("three").processor.providers] == ["DB", "session"]
    assert "Fake" not in main
    assert app.send("three", 3) == [6]
