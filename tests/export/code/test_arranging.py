"""A program reads from types to declarations, and every value is the one that the notebook had."""

from __future__ import annotations

from tests.export.notebook import DOUBLE, LOAD, NUMBERS, declared, exported
from tests.export.ruff import problems

TYPES = "from dataclasses import dataclass\n\n\n@dataclass\nclass {}:\n    id: int = {}\n"


def order(main, *parts):
    """Whether these stand in this order."""
    places = [main.index(part) for part in parts]
    return places == sorted(places)


def test_types_then_set_up_then_the_flow(tmp_path):
    cells = (
        LOAD,
        NUMBERS,
        DOUBLE.replace("2 * x", "helper(First(x))"),
        TYPES.format("First", 1),
        "LIMIT = 3",
        TYPES.format("Second", "LIMIT"),
        "def helper(first: First) -> int:\n    return Second().id",
    )
    main, report = exported(tmp_path, *cells)
    assert order(
        main,
        "class First",
        "numbers =",
        "LIMIT =",
        "class Second",
        "def helper",
        "app = Flow()",
        "@app.consumer",
        "def double",
        "__main__",
    )
    assert problems(tmp_path, "main.py") == ""
    assert report.warnings == ()


def test_a_value_that_changes_is_used_as_it_was(tmp_path):
    cells = (
        "size = 3\nnumbers = Pulse(iter(range(size)), size)",
        DOUBLE,
        "size = 4",
        "more = Pulse(iter(range(size)), size)",
        DOUBLE.replace("numbers", "more").replace("double", "other"),
        "numbers = more",
    )
    main, _ = exported(tmp_path, LOAD, *cells)
    app = declared(main)["app"]
    assert app.processors["double"].source.pulse_interval_seconds == 3
    assert app.processors["other"].source.pulse_interval_seconds == 4


def test_what_a_function_reads_when_it_is_called(tmp_path):
    cells = (
        "def size():\n    return step()",
        "def step():\n    return steps['a']",
        "steps = {}",
        "steps['a'] = 3",
        "class Sized:\n    size = size()",
        "numbers = Pulse(iter(range(Sized.size)), 0.001)",
        DOUBLE,
        "steps['a'] = 4",
    )
    main, _ = exported(tmp_path, LOAD, *cells)
    assert declared(main)["Sized"].size == 3
    assert declared(main)["steps"] == {"a": 4}


def test_what_hangs_on_a_processor_comes_after_it(tmp_path):
    service = (
        "svc = app.service('/shop')\n@svc.endpoint('/hours', 'GET')\ndef hours() -> int:\n"
        "    return OPEN"
    )
    cells = (service, "OPEN = 9", "double.note = 'kept'", "names = [double.__name__]")
    use = DOUBLE.replace("double", "third").replace("2 * x", "len(names)")
    main, _ = exported(tmp_path, LOAD, NUMBERS, DOUBLE, *cells, use)
    names = declared(main)
    assert names["names"] == ["double"]
    assert names["double"].note == "kept"
    assert sorted(names["app"].processors) == ["double", "hours", "third"]
    assert order(main, "OPEN = 9", "app = Flow()", "svc = ", "def hours")


def test_where_modules_are_found_comes_first(tmp_path):
    cells = ("rate = 2", "import sys\nsys.path.append('/opt/lib')\nimport duckdb")
    use = DOUBLE.replace("2 * x", "[duckdb, sys, rate]")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, use)
    assert order(main, "import sys", "sys.path.append", "import duckdb", "numbers =")
    assert problems(tmp_path, "main.py") == ""


def test_imports_of_the_standard_library_need_no_place_of_their_own(tmp_path):
    cells = (
        "import os\nos.environ['A'] = 'b'\nimport json",
        "import logging\nlogging.basicConfig()",
    )
    use = DOUBLE.replace("2 * x", "[os, json, logging]")
    main, _ = exported(tmp_path, LOAD, NUMBERS, *cells, use)
    assert order(
        main, "import json", "import logging", "import os", "os.environ['A']".replace("'", '"')
    )
