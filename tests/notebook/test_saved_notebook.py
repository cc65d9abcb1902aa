"""A notebook that nbclient executed: what its file shows without a kernel and without a script."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

pytestmark = pytest.mark.notebook

LOAD = "%load_ext buildflow_nb\nfrom buildflow_nb.io.local.pulse import Pulse"
FINITE = "numbers = Pulse(iter(range(40)), 0.001)"
ENDLESS = "numbers = Pulse(range(40), 0.001)"
PRICE = (
    "%%buildflow consumer source=numbers\n"
    "def price(x: int) -> int:\n"
    "    if x == 3: raise ValueError(x)\n"
    "    return x"
)


def executed(folder, *codes):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in codes]
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def test_a_run_that_ended_is_saved_with_its_final_numbers(tmp_path):
    made = executed(tmp_path, LOAD, FINITE, PRICE, "%buildflow run --port 0 --until drained")
    (output,) = made.cells[3].outputs
    for form in ("text/plain", "text/html"):
        assert ">40<" in output.data[form] or " 40 " in output.data[form]
        assert "▲" in output.data[form]
        assert "done" in output.data[form]
    assert "widgets" not in made.metadata


def test_a_run_that_goes_on_is_saved_as_of_the_last_cell(tmp_path):
    made = executed(
        tmp_path,
        LOAD,
        ENDLESS,
        PRICE,
        "%buildflow run --port 0",
        "while app.snapshot().processors[0].elements_in < 100: pass",
        "%buildflow stop",
    )
    (output,) = made.cells[3].outputs
    assert "■ stopped" in output.data["text/plain"]
    rows = output.data["text/plain"].splitlines()
    (row,) = [row for row in rows if row.startswith("price") and "■" in row]
    total = int(row.split()[5])
    assert total >= 100
    assert [o.text for o in made.cells[5].outputs] == ["stopped flow 'buildflow-app'\n"]


def test_nbconvert_shows_the_table_without_any_script(tmp_path):
    made = executed(tmp_path, LOAD, ENDLESS, PRICE, "%buildflow run --port 0", "app")
    page, _ = HTMLExporter().from_notebook_node(made)
    assert page.count('aria-label="Processors"') == 2
    assert "widget-view+json" not in page


def test_a_failed_processor_fails_the_cell_and_its_dashboard_says_so(tmp_path):
    bad = "%%buildflow consumer source=numbers\nclass Bad:\n    def setup(self): 1 / 0\n"
    bad += "    def process(self, x: int): ..."
    notebook = nbformat.v4.new_notebook()
    codes = (LOAD, ENDLESS, bad, "%buildflow run --port 0 --until drained")
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in codes]
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}})
    with pytest.raises(CellExecutionError, match="'Bad' failed: ZeroDivisionError"):
        client.execute()
    board, error = notebook.cells[3].outputs
    assert "✕ failed" in board.data["text/plain"]
    assert error.ename == "UsageError"
    assert len(error.traceback) == 1
