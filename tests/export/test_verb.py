"""`%buildflow export` in a real kernel, to a program that gives the notebook's own rows."""

from __future__ import annotations

import json
import subprocess
import sys

import duckdb
import pytest

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
    for cell_id, code in CELLS.items():
        assert cells(code, cell_id).error is None
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
