"""What of a notebook becomes the program, and how it reads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell, export_flow
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, PLAIN, declared, exported, ran

WHOLE = '''"""A flow, exported from the notebook in which it was written."""

from buildflow_nb import Flow
from buildflow_nb.io.local.pulse import Pulse

numbers = Pulse(iter(range(3)), 0.001)

app = Flow()


@app.consumer(source=numbers)
def double(x: int) -> int:
    return 2 * x


if __name__ == "__main__":
    app.run()
'''


def body(text):
    """A program without its header."""
    return text[text.index('"""') :]


def problems(folder, *options):
    """What ruff says of a folder, run in it: so it knows which modules are the project's."""
    asked = [sys.executable, "-m", "ruff", "check", "--quiet", "--isolated", *options, "."]
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_the_whole_of_a_small_program(tmp_path):
    text, report = exported(tmp_path / "shop", *PLAIN)
    assert body(text) == WHOLE
    assert {"main.py", "buildflow.yaml", "requirements.txt"} <= {p.name for p in report.files}
    assert str(report).startswith("wrote main.py, ")
    assert str(report).endswith(f" in {tmp_path / 'shop'}")


def test_it_declares_what_the_notebook_declares(tmp_path):
    text, _ = exported(tmp_path / "shop", *PLAIN)
    assert list(declared(text)["app"].processors) == ["double"]


def test_it_is_clean_for_ruff(tmp_path):
    late = "import json\nfrom typing import Any, List\n"
    late += "def show(x: Any) -> str:\n    return json.dumps(x)"
    use = DOUBLE.replace("2 * x", "len(show(x))")
    exported(tmp_path / "shop", LOAD, NUMBERS, late, use)
    assert problems(tmp_path / "shop") == ""


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ('%%buildflow collector "/in", "POST", sink=numbers', '@app.collector("/in", "POST"'),
        ('%%buildflow endpoint "/out"', '@app.endpoint("/out")'),
        ("%%buildflow consumer source=list([\n    numbers])[0]", "@app.consumer(source=list(["),
    ],
)
def test_a_magic_becomes_its_decorator(tmp_path, cell, line):
    text, _ = exported(tmp_path, LOAD, NUMBERS, f"{cell}\ndef take(x: int) -> int:\n    return x")
    assert line in text


def test_types_and_helpers_come_along_and_exploration_stays(tmp_path):
    text, report = exported(
        tmp_path,
        LOAD,
        NUMBERS,
        "from dataclasses import dataclass\n# who pays\n@dataclass\nclass Bill:\n"
        "    sum: int  # cents",
        "rate = 3; other = 4\nprint(rate)\nrate",
        "def total(x):\n    return Bill(x * rate)",
        DOUBLE.replace("int:", "Bill:").replace("2 * x", "total(x)"),
        "app.send('double', 1)\nhandle = app.run()\nawait handle",
        "!ls\nfiles = !ls\n%timeit 1\nfiles",
    )
    for kept in ("# who pays\n@dataclass", "sum: int  # cents", "rate = 3\n", "def total(x):"):
        assert kept in text
    for gone in ("other", "print", "send", "await", "get_ipython", "files"):
        assert gone not in text
    stayed = {(one.cell, one.line, one.text, one.why) for one in report.left_out}
    assert ("cell [1]", 1, "%load_ext buildflow_nb", "a magic") in stayed
    assert ("cell [4]", 2, "print(rate)", "not needed by the flow") in stayed
    assert ("cell [8]", 2, "files = !ls", "a magic") in stayed
    assert not any(one.text.startswith("rate =") for one in report.left_out)


def test_what_changes_a_needed_value_comes_along(tmp_path):
    text, _ = exported(
        tmp_path,
        LOAD,
        NUMBERS,
        "import logging\nlimits = {}\nlogging.basicConfig(level='ERROR')\nlimits['a'] = 1\n"
        "for i in range(2):\n    limits[i] = i\nlimits.update(b=2)\nlimits",
        "limits['c'] = 3",
        DOUBLE.replace("2 * x", "logging.info(x) or len(limits)"),
        "limits.pop('a')",
    )
    names = declared(text)
    assert names["limits"] == {0: 0, 1: 1, "b": 2, "c": 3}
    assert "basicConfig" in text


def test_managed_resources_stay_managed(tmp_path):
    queue = (
        "from buildflow_nb.io.aws import SQSQueue\norders = SQSQueue('orders')\napp.manage(orders)"
    )
    text, _ = exported(tmp_path, "%load_ext buildflow_nb", queue)
    assert [p.primitive_id for p in declared(text)["app"].registry.managed] == ["orders"]


def test_services_and_their_endpoints(tmp_path):
    service = "svc = app.service('/shop')\n@svc.endpoint('/hours', 'GET')\n"
    service += "def hours() -> int:\n    return 9"
    text, _ = exported(tmp_path, "%load_ext buildflow_nb", service)
    assert "hours" in declared(text)["app"].processors


def test_a_flow_of_the_users_own_is_kept_and_stands_first(tmp_path):
    own = "from buildflow_nb import Flow\napp = Flow(flow_id='shop')"
    text, _ = exported(tmp_path, LOAD, NUMBERS, DOUBLE, own)
    assert text.count("Flow(") == 1
    assert declared(text)["app"].flow_id == "shop"
    assert list(declared(text)["app"].processors) == ["double"]


def test_buildflows_own_name_becomes_ours(tmp_path):
    cell = "from buildflow.io.local.pulse import Pulse\nimport buildflow"
    use = DOUBLE.replace("2 * x", "len(buildflow.__version__)")
    text, _ = exported(tmp_path, cell, NUMBERS, use)
    assert "from buildflow_nb.io.local.pulse import Pulse" in text
    assert "import buildflow_nb as buildflow" in text


def test_what_is_needed_at_once_is_moved_up(tmp_path):
    early = "numbers = Pulse(iter(range(top)), 0.001)"
    text, report = exported(tmp_path, LOAD, early, DOUBLE, "top = 3")
    assert text.index("top = 3") < text.index("numbers =")
    assert "double" in declared(text)["app"].processors
    assert report.warnings == (
        "cell [4] line 1 sets 'top' below cell [2] line 1, which needs it at once; in the program "
        "it stands first",
    )


def test_a_name_that_two_cells_set_is_said(tmp_path):
    _, report = exported(
        tmp_path, LOAD, NUMBERS, "rate = 1", "rate = 2", DOUBLE.replace("2", "rate")
    )
    assert report.warnings == (
        "'rate' is set in cell [3] and cell [4]; in the program the last of them counts",
    )


def test_a_cell_that_failed_since_is_said(tmp_path):
    cells = [*ran(LOAD, NUMBERS), RanCell(DOUBLE, 7, failed_since=True)]
    report = export_flow(cells, tmp_path)
    assert report.warnings == (
        "cell [7] failed when it ran last; its source before that is exported",
    )


def test_a_cell_of_another_magic_stays_behind(tmp_path):
    _, report = exported(tmp_path, *PLAIN, "%%bash\nrm -f x", "%%time\nslow = 1")
    assert {(one.text, one.why) for one in report.left_out} >= {
        ("%%bash", "a cell of %%bash"),
        ("%%time", "a cell of %%time"),
    }


def test_an_empty_notebook_has_nothing_to_export(tmp_path):
    with pytest.raises(UsageError, match=r"nothing to export.*%%buildflow consumer"):
        exported(tmp_path / "shop", "1 + 1", "")
    assert not (tmp_path / "shop").exists()


def test_imports_are_sorted_merged_and_as_long_as_a_line_may_be(tmp_path):
    names = ", ".join(f"name_{i}_of_many" for i in range(8))
    cell = (
        f"import sys as system, os.path\nfrom numpy import {names}\nimport os\n"
        "from typing import cast\nfrom typing import Any as Anything\nfrom typing import Any\n"
        f"def use() -> Any:\n    return [{names}, os, system, cast, Anything]"
    )
    late = "import sys\nsys.path.insert(0, 'lib')\nimport duckdb"
    use = DOUBLE.replace("2 * x", "[use(), duckdb, sys]")
    exported(tmp_path, LOAD, NUMBERS, cell, late, use)
    text = (tmp_path / "main.py").read_text()
    assert text.index("sys.path.insert") < text.index("import duckdb")
    assert problems(tmp_path, "--select=I,F,E4") == ""


def test_a_function_that_is_written_anew_is_there_once(tmp_path):
    anew = DOUBLE.replace("2 * x", "5 * x")
    text, report = exported(tmp_path, *PLAIN, "double(3)", anew)
    assert "2 * x" not in text
    assert text.count("def double") == 1
    assert report.warnings == ()


def test_the_cell_that_ran_last_counts(tmp_path):
    anew = RanCell(DOUBLE.replace("2 * x", "5 * x"), 4)
    export_flow([*ran(LOAD, NUMBERS), RanCell(DOUBLE, 9), anew], tmp_path)
    text = (tmp_path / "main.py").read_text()
    assert "2 * x" in text
    assert "5 * x" not in text


def test_what_the_first_of_two_functions_was_used_for_is_kept(tmp_path):
    one, two = "def size():\n    return 3", "def size():\n    return 4"
    text, _ = exported(
        tmp_path, LOAD, one, NUMBERS.replace("3", "size()"), two, DOUBLE.replace("2", "size()")
    )
    assert text.index("return 3") < text.index("numbers =") < text.index("return 4")


def test_files_are_not_deleted_at_every_start(tmp_path):
    cell = "from pathlib import Path\nplace = Path('place')\nplace.mkdir()\nplace.unlink()"
    late = "import json\ndef name():\n    return json.dumps(str(place))"
    use = DOUBLE.replace("2 * x", "len(name())")
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, late, use)
    assert "place.mkdir()" in text
    assert "unlink" not in text
    assert text.index("import json") < text.index("app = Flow()")
    (stayed,) = [one for one in report.left_out if "unlink" in one.text]
    assert (stayed.cell, stayed.line, stayed.why) == ("cell [3]", 4, "deletes files")


def test_a_name_that_only_a_function_makes(tmp_path):
    cell = "%%buildflow consumer source=numbers\ndef f(x: int) -> int:\n"
    text, _ = exported(
        tmp_path, LOAD, NUMBERS, f"{cell}    global last\n    last = x\n    return last"
    )
    assert "    global last\n    last = x\n" in text


AROUND = """@app.on_startup
def connect():
    app_state["n"] = STEP


@app.on_shutdown
async def leave():
    pass


@app.exception_handler(Oops)
def handle(request, error):
    return STEP
"""


def test_code_around_a_run_and_handlers_come_along_with_what_they_need(tmp_path):
    cells = (*PLAIN, "STEP = 2\nclass Oops(Exception): ...\napp_state = {}", AROUND, "left = 3")
    text, _ = exported(tmp_path / "shop", *cells)
    assert "STEP = 2" in text
    assert "left = 3" not in text
    hooks = declared(text)["app"].registry.hooks
    assert [str(hook) for hook in hooks.values()] == [
        "on_startup 'connect'",
        "on_shutdown 'leave'",
        "exception_handler 'handle'",
    ]


SHOP = """from buildflow_nb.middleware import GZipMiddleware, SessionMiddleware
service = app.service("/shop", service_id="shop")
WORD = "x"
"""
TIMED = """@app.middleware("http")
async def timed(request, call_next):
    response = await call_next(request)
    response.headers["X-Word"] = WORD
    return response
"""
SIGNED = 'service.add_middleware(SessionMiddleware, secret_key="a key that nobody knows")'
ZIPPED = "app.add_middleware(GZipMiddleware, minimum_size=500)"
NUMBER = """@service.endpoint("/n")
def number() -> int:
    return 1
"""


def test_middleware_comes_along_and_its_key_does_not(tmp_path):
    cells = (*PLAIN, SHOP, SIGNED, TIMED, ZIPPED, NUMBER)
    text, _ = exported(tmp_path / "shop", *cells)
    assert "nobody knows" not in text
    assert 'secret_key=os.environ["SECRET_KEY"]' in text
    assert text.index("SessionMiddleware,") < text.index("def timed") < text.index("minimum_size")
    assert 'WORD = "x"' in text
