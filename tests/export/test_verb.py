"""`%buildflow export` in a real kernel, to a program that gives the notebook's own rows."""

from __future__ import annotations

import json
import subprocess
import sys

import duckdb
import pytest

from tests.export.notebook import code, saved, text
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.notebook

RUN_S = 60
ROWS = [{"id": i, "qty": i % 5} for i in range(300)]
CELLS = {
    "early": "RATE = 1.5",
    "load": "%load_ext buildflow_nb\nfrom dataclasses import dataclass\n"
    "from buildflow_nb.io.duckdb import DuckDBTable\nfrom buildflow_nb.io.local import File",
    "types": "@dataclass\nclass Order:\n    id: int\n    qty: int\n"
    "@dataclass\nclass Priced:\n    id: int\n    total: float",
    "price": '%%buildflow consumer source=File("orders.jsonl"), '
    'sink=DuckDBTable("shop.duckdb", "priced")\n'
    "def price(order: Order) -> Priced:\n    return Priced(order.id, order.qty * RATE)",
    "run": "%buildflow run --port 0 --until drained",
    "look": "app.snapshot()",
}


@pytest.fixture
def cells(tmp_path):
    text = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (tmp_path / "orders.jsonl").write_text(text)
    made = Kernel(tmp_path)
    yield made
    made.close()


def rows(folder):
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT id, total FROM priced ORDER BY id").fetchall()


def test_what_runs_in_the_notebook_is_what_is_exported(cells, tmp_path):
    for cell_id, source in CELLS.items():
        assert cells(source, cell_id).error is None
    again = CELLS["price"].replace("RATE)", "RATE + 1)")
    assert cells(again, "price").error is None
    assert cells(again.replace("RATE + 1)", "RATE + )"), "price").status == "error"
    (shown,) = cells("%buildflow export shop", "export").bundles
    for form in ("text/plain", "text/html"):
        assert "wrote main.py, buildflow.yaml, requirements.txt, " in shown[form]
        assert "%buildflow run --port 0 --until drained" in shown[form]
        assert "failed when it ran last" in shown[form]

    (tmp_path / "shop" / "orders.jsonl").write_text((tmp_path / "orders.jsonl").read_text())
    subprocess.run([sys.executable, "main.py"], cwd=tmp_path / "shop", timeout=RUN_S, check=True)
    assert rows(tmp_path / "shop") == [(row["id"], row["qty"] * 1.5 + 1) for row in ROWS]
    cells("%unload_ext buildflow_nb")
    assert rows(tmp_path) == [(row["id"], row["qty"] * 1.5) for row in ROWS]


def test_an_error_is_one_line(cells):
    cells(CELLS["load"], "load")
    cells("numbers = File('orders.jsonl')", "numbers")
    cells("%%buildflow consumer source=numbers\ndef price(x: dict): return gone", "price")
    refused = cells("%buildflow export shop", "export")
    assert refused.error.startswith("UsageError: no cell that ran defines 'gone' (used in cell [3]")
    assert refused.traceback == [refused.error]


SAVED = {**CELLS, "load": f"{CELLS['load']}\nimport json", "behind": "never = 1"}


def notebook(folder, cells, changed=None):
    """The notebook's file, in another order than cells run in."""
    made = [text("# The shop"), *(code(source, None, key) for key, source in cells.items())]
    return saved(folder / "shop.ipynb", *made, *([text(changed)] if changed else []))


def ran(cells, *names):
    for name in names:
        assert cells(CELLS[name], name).error is None


def test_a_named_file_gives_the_order_and_the_title(cells, tmp_path):
    ran(cells, "load", "types", "early", "price", "look")
    path = notebook(tmp_path, SAVED)
    shown = cells("%buildflow export shop.ipynb shop", "export").bundles[0]["text/plain"]
    assert "look at: cell [1] was edited since it ran; what ran is exported" in shown
    assert "never ran well in this kernel, so it stays behind: cell [ ] (code cell no. 7)" in shown
    main = (tmp_path / "shop/main.py").read_text()
    assert '"""The shop."""' in main
    assert main.index("class Order") < main.index("RATE = 1.5") < main.index("def price")
    assert path.read_text() == notebook(tmp_path, SAVED).read_text()


@pytest.mark.parametrize("told", ["JPY_SESSION_NAME", "__vsc_ipynb_file__"])
def test_its_own_file_is_found(cells, tmp_path, told):
    path = notebook(tmp_path, SAVED)
    says = f"import os; os.environ['{told}'] = {str(path)!r}"
    cells(says if told.isupper() else f"{told} = {str(path)!r}", "told")
    ran(cells, "load", "early", "types", "price")
    cells("%buildflow export shop", "export")
    assert '"""The shop."""' in (tmp_path / "shop/main.py").read_text()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "shop.ipynb is not there (renamed?); the cells that ran are exported"),
        (lambda path: path.write_text("{"), "shop.ipynb is no notebook: not JSON at line 1"),
        (
            lambda path: saved(path, code("other = 1", 1, "other")),
            "shop.ipynb is of other cells; the cells that ran are exported",
        ),
    ],
)
def test_a_file_that_is_no_help_is_done_without(cells, tmp_path, make, said):
    path = tmp_path / "shop.ipynb"
    make(path)
    cells(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}", "told")
    ran(cells, "load", "early", "types", "price")
    shown = cells("%buildflow export shop --package", "export").bundles[0]
    assert said in shown["text/plain"]
    assert said.partition("shop.ipynb ")[2].partition(";")[0] in shown["text/html"]
    assert (tmp_path / "shop/shop/processors.py").is_file()


def test_a_named_file_that_cannot_be_read_is_an_error(cells, tmp_path):
    ran(cells, "load", "early", "types", "price")
    refused = cells("%buildflow export gone.ipynb shop", "export")
    assert refused.error.startswith("UsageError: gone.ipynb cannot be read: No such file")
    assert not (tmp_path / "shop").exists()


def test_the_flow_that_runs_is_held_against_the_program(cells):
    ran(cells, "load", "early", "types", "price")
    hidden = "exec('@app.consumer(File(\"o.jsonl\"))\\ndef from' + 'nowhere(x: dict): ...')"
    assert cells(hidden, "hidden").error is None
    assert cells("getattr(app, 'remove')('price')", "remove").error is None
    shown = cells("%buildflow export shop", "export").bundles[0]["text/plain"]
    assert "'price' is in the program and not in this kernel's flow (removed by a click?)" in shown
    assert "'fromnowhere' is in this kernel's flow and in no cell that is exported" in shown


def test_all_that_is_wrong_is_shown(cells, tmp_path):
    cells(CELLS["load"], "load")
    cells("numbers = File('orders.jsonl')\nrate = 1", "numbers")
    cells("files = !ls", "files")
    cells("%%buildflow consumer source=numbers\ndef price(x: dict): return gone, files", "price")
    refused = cells("%buildflow export shop", "export")
    head, *reasons = refused.error.split("\n")
    assert head == "UsageError: 2 things stand against this export, and nothing was written:"
    assert reasons[0].startswith("  cell [3] line 1: a magic or a command is part of what")
    assert reasons[1].startswith("  no cell that ran defines 'gone' (used in cell [4] line 2)")
    assert refused.traceback == [refused.error]
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("typed", ["out\0", "~nobodyx/out", "loop"])
def test_a_folder_that_cannot_be_is_told_in_one_line(cells, tmp_path, typed):
    (tmp_path / "loop").symlink_to("loop")
    assert cells(CELLS["load"], "load").error is None
    asked = f"get_ipython().run_line_magic('buildflow', {'export ' + typed!r})"
    found = cells(asked, "export")
    assert "UsageError" in str(found.error)
    assert "name " in str(found.error)
