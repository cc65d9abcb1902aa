"""Notebook files, good and bad: what cannot be read is said, and nothing is written."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import export_flow
from buildflow_nb.export.cells.saved import read_saved
from tests.export.notebook import PLAIN, code, saved, text


def refused(path, folder):
    """The message of an export of a file; nothing is written."""
    with pytest.raises(UsageError) as error:
        export_flow((), folder / "shop", notebook=path)
    assert not (folder / "shop").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_cells_in_order(tmp_path):
    path = saved(
        tmp_path / "a.ipynb", text("# A\n"), code(["a = 1\n", "b = 2"], 3, "x", ["skip"]), code("")
    )
    heading, first, second = read_saved(path).cells
    assert (heading.kind, heading.source) == ("markdown", "# A\n")
    assert (first.source, first.place, first.number) == ("a = 1\nb = 2", 1, 3)
    assert (first.cell_id, first.tags) == ("x", ("skip",))
    assert (second.source, second.place, second.number) == ("", 2, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; save it once more"),
        (b" \n", "is empty; save it once more"),
        (b"{not json", "is no notebook: not JSON at line 1 column 2"),
        (b'{"cells": [', "is no notebook: not JSON at line 1"),
        (b"[1, 2]", "is no notebook: expected `object`, got `array`"),
        (b'{"cells": {}, "nbformat": 4}', "is no notebook: expected `array | null`"),
        (b'{"cells": [3], "nbformat": 4}', "is no notebook: expected `object`, got `int`"),
        (b'{"nbformat": 4}', "is no notebook: it has no cells"),
        (b'{"some": "json"}', "is of notebook format None, not 3 or 4"),
        (b'{"cells": [], "nbformat": 5}', "is of notebook format 5, not 3 or 4"),
        (b'{"cells": [{"source": "\xff"}], "nbformat": 4}', "is not in UTF-8 (byte 24)"),
        ("{}".encode("utf-16"), "is not in UTF-8 (byte 1)"),
        (b'{"cells": ' + b"[" * 100_000, "is no notebook: "),
    ],
)
def test_what_is_no_notebook(tmp_path, data, message):
    path = tmp_path / "shop.ipynb"
    path.write_bytes(data)
    assert message in refused(path, tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    message = refused(tmp_path / "shop.ipynb", tmp_path)
    assert message.endswith(
        "cannot be read: No such file or directory; name a notebook that is there"
    )
    (tmp_path / "dir.ipynb").mkdir()
    assert "Is a directory" in refused(tmp_path / "dir.ipynb", tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"language": "julia", "name": "julia-1.9"}},
        {"language_info": {"name": "R"}},
        {"language_info": {"name": "R"}, "kernelspec": {"language": "python"}},
    ],
)
def test_another_language(tmp_path, metadata):
    path = saved(tmp_path / "shop.ipynb", *PLAIN, metadata=metadata)
    message = refused(path, tmp_path)
    assert message.endswith("; only notebooks of Python can be exported")


@pytest.mark.parametrize("name", ["python", "Python", "ipython"])
def test_python_by_any_name(tmp_path, name):
    path = saved(tmp_path / "shop.ipynb", *PLAIN, metadata={"kernelspec": {"language": name}})
    assert len(read_saved(path).cells) == len(PLAIN)


def test_version_3(tmp_path):
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Numbers"]},
        *(
            {"cell_type": "code", "input": source, "prompt_number": i, "language": "python"}
            for i, source in enumerate(PLAIN, 1)
        ),
    ]
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}))
    report = export_flow((), tmp_path / "shop", notebook=path)
    assert "# Numbers\n@app.consumer" in (tmp_path / "shop/main.py").read_text()
    assert report.warnings == ()


def test_outputs_are_not_looked_at(tmp_path):
    path = saved(tmp_path / "shop.ipynb", *PLAIN)
    document = json.loads(path.read_text())
    document["cells"][0]["outputs"] = [{"output_type": "stream", "text": "x" * 5_000_000}]
    document["cells"][1]["outputs"] = "no list at all"
    document["cells"][2]["outputs"] = [float("nan")]
    path.write_text(json.dumps(document))
    export_flow((), tmp_path / "shop", notebook=path)
    written = sum(file.stat().st_size for file in (tmp_path / "shop").rglob("*") if file.is_file())
    assert written < 100_000


def test_a_byte_order_mark_and_half_a_character(tmp_path):
    path = tmp_path / "shop.ipynb"
    half = saved(path, code('"\ud83d"'))
    half.write_bytes(b"\xef\xbb\xbf" + half.read_bytes())
    (cell,) = read_saved(path).cells
    assert cell.source == '"?"'


def test_an_empty_notebook_has_nothing_to_export(tmp_path):
    path = saved(tmp_path / "shop.ipynb")
    assert refused(path, tmp_path).startswith("nothing to export: no cell that ran declares")
