"""An exported flow runs by itself, and gives the rows that the notebook's cells give."""

from __future__ import annotations

import json
import subprocess
import sys

import duckdb

from tests.export.notebook import exported

RUN_S = 60
CELLS = (
    "%load_ext buildflow_nb\nfrom dataclasses import dataclass\n"
    "from buildflow_nb.io.duckdb import DuckDBTable\nfrom buildflow_nb.io.local import File",
    "@dataclass\nclass Order:\n    id: int\n    qty: int\n\n"
    "@dataclass\nclass Priced:\n    id: int\n    total: float",
    'orders = File("orders.jsonl")\norders',
    "RATE = 1.5",
    '%%buildflow consumer source=orders, sink=DuckDBTable("shop.duckdb", "priced")\n'
    "def price(order: Order) -> Priced | None:\n"
    "    return Priced(order.id, order.qty * RATE) if order.qty else None",
    "%buildflow run --until drained",
    "app.snapshot()",
)


def test_file_to_duckdb(tmp_path):
    folder = tmp_path / "shop"
    exported(folder, *CELLS)
    rows = [{"id": i, "qty": i % 7} for i in range(500)]
    (folder / "orders.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ended = subprocess.run(
        [sys.executable, "-W", "error", "main.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT id, total FROM priced ORDER BY id").fetchall()
    assert found == [(row["id"], row["qty"] * 1.5) for row in rows if row["qty"]]


def test_a_terminal_finds_its_flow(tmp_path):
    from buildflow_nb.cli.entry import load_flow

    sys.modules.pop("main", None)  # of another test's project: a terminal has one for itself
    exported(tmp_path / "shop", *CELLS)
    try:
        assert list(load_flow(tmp_path / "shop").processors) == ["price"]
    finally:
        sys.modules.pop("main", None)
