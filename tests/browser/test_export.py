"""Export from a notebook in JupyterLab: what is saved and what ran, held against each other."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest

pytestmark = pytest.mark.browser

LOAD = """%load_ext buildflow_nb
from buildflow_nb.io.local import File
RATE = 2"""
PRICE = """%%buildflow consumer source=File("orders.json"), sink=File("priced.json")
def price(order: dict) -> dict:
    return {"id": order["id"], "total": order["qty"] * RATE}"""
TWICE = '%%buildflow endpoint "/twice/{n}"\ndef twice(n: int) -> int:\n    return 2 * n'
LOOK = "[price({'id': 1, 'qty': 3})]"
ORDERS = '{"id": 1, "qty": 3}\n{"id": 2, "qty": 5}\n'
RUN_S = 60


def test_the_file_says_the_order_and_the_kernel_what_ran(notebook):
    cells = [
        LOAD,
        nbformat.v4.new_markdown_cell("## Pricing\n\nAn order at a time."),
        PRICE,
        nbformat.v4.new_code_cell(TWICE, metadata={"tags": ["skip"]}),
        LOOK,
        "%buildflow export shipped",
    ]
    book = notebook(cells)
    for i in (0, 2, 3, 4):
        book.run_cell(i)
    book.edit_cell(2, PRICE.replace("* RATE", "* RATE + 1"))
    book.save()
    book.run_cell(5)
    output = book.wait_output(5, "python main.py")
    told = book.text(5)
    assert "cell [2] was edited since it ran" in told
    book.shot("export", output)
    written = book.path.parent / "shipped"
    program = (written / "main.py").read_text()
    assert "# Pricing\n@app.consumer(" in program
    assert '"total": order["qty"] * RATE}' in program  # what ran, not what was typed since
    assert "twice" not in program
    (written / "orders.json").write_text(ORDERS)
    ran = subprocess.run(
        [sys.executable, "main.py"],
        cwd=written,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (written / "priced.json").read_text() == '{"id":1,"total":6}\n{"id":2,"total":10}\n'
