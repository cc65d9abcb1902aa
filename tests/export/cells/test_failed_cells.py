"""A cell that declares and failed is missed, by cell, rather than left out without a word."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell, export_flow
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, code, program, ran, saved

FLOW = "from buildflow_nb import Flow\napp = Flow()"
MORE = "%%buildflow consumer source=numbers\ndef more(x: int) -> int:\n    return x"
ADDED = "def more(x: int): ...\napp.add_consumer(more, numbers, None)"
MANAGED = "from buildflow_nb.io.local import File\napp.manage(File('x.csv'))\n1 / 0"
ERROR = {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["x"]}


def refused(folder, cells, **words):
    with pytest.raises(UsageError) as error:
        export_flow(cells, folder / "shop", **words)
    assert not (folder / "shop").exists()
    return str(error.value)


def failed(source, number=9, cell_id=None):
    return RanCell(source, number, cell_id=cell_id, failed=True)


@pytest.mark.parametrize("cell", [MORE, ADDED, MANAGED, f"# more\n\n@app.consumer(\n{MORE[10:]}"])
@pytest.mark.parametrize("others", [(LOAD, NUMBERS, FLOW), (LOAD, NUMBERS, DOUBLE)])
def test_in_a_kernel(tmp_path, cell, others):
    said = refused(tmp_path, [*ran(*others), failed(cell)])
    assert "cell [9] line " in said
    assert "declares a part of the flow and failed" in said


def test_a_flow_without_any_processor(tmp_path):
    for cells in ((LOAD, FLOW), (LOAD, NUMBERS, FLOW, "def f(x): ...")):
        assert "nothing to export: no cell that ran declares" in refused(tmp_path, ran(*cells))


@pytest.mark.parametrize(
    "cell", ["1 / 0", "print('app.consumer')\n1 / 0", DOUBLE, DOUBLE.replace("2 *", "3 * *")]
)
def test_what_declares_nothing_or_was_mended_is_no_matter(tmp_path, cell):
    export_flow([*ran(LOAD, NUMBERS, DOUBLE), failed(cell)], tmp_path / "shop")


def test_one_that_was_deleted_from_the_file_is_no_matter(tmp_path):
    path = saved(tmp_path / "s.ipynb", LOAD, NUMBERS, DOUBLE)
    cells = ran(LOAD, NUMBERS, DOUBLE)
    export_flow([*cells, failed(MORE, cell_id="gone")], tmp_path / "shop", notebook=path)
    path = saved(tmp_path / "t.ipynb", LOAD, NUMBERS, DOUBLE, code(MORE, 9, "there"))
    said = refused(tmp_path / "t", [*cells, failed(MORE, cell_id="there")], notebook=path)
    assert "cell [9] line 1" in said


def test_in_a_file(tmp_path):
    bad = code(MORE, 4) | {"outputs": [{"output_type": "stream", "text": "x"}, ERROR]}
    path = saved(tmp_path / "s.ipynb", LOAD, NUMBERS, DOUBLE, bad)
    assert "cell [4] line 1: the cell declares" in refused(tmp_path, (), notebook=path)
    odd = {**bad, "outputs": [{"output_type": "stream", "text": "an error"}]}
    program(saved(tmp_path / "t.ipynb", LOAD, NUMBERS, DOUBLE, odd))
