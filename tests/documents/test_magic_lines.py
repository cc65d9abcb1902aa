"""Every line of README and docs can be pasted as it stands: it runs, comment and all."""

from __future__ import annotations

import json

import duckdb
import pytest

from buildflow_nb.commands.parsing import COMMANDS, parse
from buildflow_nb.local_cloud.client import stop_cloud
from tests.documents.magic_lines import DOCUMENTS, ROOT, blocks, magic_lines, quoted
from tests.notebook.kernels import Kernel

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_FLOW = README.partition("## A first flow")[2].partition("A magic's line is")[0]
NOTEBOOK = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
QUESTIONS = ("%buildflow apply", "%buildflow destroy")

SHOP = """\
%load_ext buildflow_nb
from dataclasses import dataclass
from buildflow_nb.io.local import Pulse

@dataclass
class Order:
    id: int
    qty: int
"""
PRICE = """\
%%buildflow consumer source=Pulse([{"id": n, "qty": n % 5} for n in range(50)], 0.001)
def price(order: Order) -> float:
    return 9.5 / order.qty
"""
ENDPOINT = """\
%%buildflow endpoint "/double/{n}", method="GET"
def double(n: int) -> int:
    return 2 * n
"""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_line_is_understood(document):
    text = document.read_text(encoding="utf-8")
    for line in magic_lines(text):
        asked = parse(line.removeprefix("%buildflow"), alone="panel")
        assert asked.command.name in line or asked.command.name == "panel", line
    for line in quoted(text):  # which may name a command alone
        words = line.split()
        assert len(words) == 1 or words[1] in COMMANDS, line
        if len(words) > 2:
            parse(line.removeprefix("%buildflow"))


def test_no_comment_stands_behind_a_magic_that_takes_none():
    """IPython's own magics take a comment for an argument."""
    for document in DOCUMENTS:
        for row in document.read_text(encoding="utf-8").splitlines():
            assert not (row.strip().startswith("%load_ext") and "#" in row), row


@pytest.fixture
def kernel(tmp_path):
    made = Kernel(tmp_path)
    yield made
    made.close()
    stop_cloud(tmp_path)


@pytest.mark.notebook
@pytest.mark.pulumi
@pytest.mark.emulator
def test_the_first_flow_of_the_readme(kernel, tmp_path):
    found = blocks(FIRST_FLOW)
    assert [block.split()[0] for block in found[:3]] == ["%load_ext", "%%buildflow", "%%buildflow"]
    for block in found:
        lines = block.splitlines()
        asks = lines[0].startswith(QUESTIONS)
        for cell in lines if asks else [block]:
            here = cell.replace("%buildflow run ", "%buildflow run --port 0 ")
            ran = kernel(here, answer="y" if asks else None)
            assert ran.error is None, cell
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as written:
        assert written.sql("SELECT id, total FROM priced ORDER BY id").fetchall() == [
            (1, 19.0),
            (2, 47.5),
            (3, 9.5),
        ]


@pytest.mark.notebook
def test_the_lines_of_the_notebooks_page(kernel, tmp_path):
    cells = [SHOP, PRICE, ENDPOINT, "%buildflow run --port 0"]
    for number, cell in enumerate(cells):
        assert kernel(cell, cell_id=str(number)).error is None, cell
    kernel("import time\nwhile len(app.failures('price')) < 4: time.sleep(0.01)")
    saved = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "cell_type": "code",
                "id": str(number),
                "source": cell,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, cell in enumerate(cells)
        ],
    }
    (tmp_path / "shop.ipynb").write_text(json.dumps(saved))
    lines = magic_lines(NOTEBOOK)
    assert len(lines) > 10
    for line in lines:
        if " remove " in line:
            continue  # at the end: the others need it
        assert kernel(line, cell_id="line").error is None, line
    for line in lines:
        if " remove " in line:
            assert kernel(line, cell_id="remove").error is None, line
