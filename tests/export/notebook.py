"""Cells for exports, and what becomes of them."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.export import RanCell, export_flow
from buildflow_nb.export.messages import ExportError

LOAD = "%load_ext buildflow_nb\nfrom buildflow_nb.io.local.pulse import Pulse"
NUMBERS = "numbers = Pulse(iter(range(3)), 0.001)"
DOUBLE = "%%buildflow consumer source=numbers\ndef double(x: int) -> int:\n    return 2 * x"
PLAIN = (LOAD, NUMBERS, DOUBLE)


def ran(*sources):
    return [RanCell(source, i) for i, source in enumerate(sources, 1)]


def exported(folder, *sources, **words):
    """The text of main.py, and the report."""
    report = export_flow(ran(*sources), folder, **words)
    return (folder / "main.py").read_text(), report


def of_cells(report):
    """What is said of cells, not what ruff says of the program."""
    return [warning for warning in report.warnings if "ruff says" not in warning]


def declared(text):
    """What a program binds and declares when it is imported."""
    names = {"__name__": "main"}
    exec(compile(text, "main.py", "exec"), names)  # noqa: S102  (a program of this very test)
    return names


def written(folder):
    """All that an export wrote, as one text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return "".join(path.read_text(errors="replace") for path in files)


def code(source, number=None, cell_id=None, tags=()):
    """A cell of code, as a notebook file has it."""
    cell = {"cell_type": "code", "source": source, "execution_count": number, "outputs": []}
    cell["metadata"] = {"tags": list(tags)} if tags else {}
    return cell | ({"id": cell_id} if cell_id else {})


def text(source):
    """A cell of text, as a notebook file has it."""
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def saved(path, *cells, **words):
    """Write a notebook file; plain texts are cells of code that ran, one after the other."""
    made = [code(cell, i) if isinstance(cell, str) else cell for i, cell in enumerate(cells, 1)]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made, **words}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def program(path, folder=None, **words):
    """The text of main.py of a notebook file, and the report."""
    folder = folder or path.parent / "shop"
    report = export_flow((), folder, notebook=path, **words)
    return (folder / "main.py").read_text(encoding="utf-8"), report


def refused(folder, *cells):
    """All reasons; nothing is written."""
    with pytest.raises(ExportError) as error:
        exported(folder / "shop", *cells)
    assert not (folder / "shop").exists()
    return error.value.reasons


def why(report):
    """What stays behind, and why."""
    return {one.text: one.why for one in report.left_out}
