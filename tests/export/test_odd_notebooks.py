"""Notebook files of every oddity: an export says one line, or writes a project, and never more.

Seeded, so that a run can be repeated; `BUILDFLOW_SEED` makes another one.
"""

from __future__ import annotations

import json
import os
import random

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell, export_flow
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, code, text

SEED = int(os.environ.get("BUILDFLOW_SEED", "20"))
ROUNDS = 60
HALF = "\ud800"
TEXTS = [
    "",
    " ",
    "\n\n",
    "\x00",
    HALF,
    f"x = '{HALF}'",
    "x = '\\ud800'",
    f"# {HALF}",
    "# AKIA\ud800ABCDEFGHIJKLMNOP",
    "password = '\\ud800\\udfff'",
    "password = '\\x00'",
    "\ufeff" + DOUBLE,
    DOUBLE + "\r",
    DOUBLE.replace("\n", "\r\n"),
    "%",
    "%%",
    "% %",
    "%%buildflow",
    "%%buildflow\n",
    "%%buildflow consumer",
    "%%buildflow consumer source=",
    f"%%buildflow consumer source={HALF}\ndef f(x): ...",
    "%%buildflow consumer source=" + "(" * 3_000 + "\ndef f(x): ...",
    "%%buildflow consumer source=" + "not " * 3_000 + "x\ndef f(x): ...",
    "%%buildflow consumer source=numbers\n" + "x = " + "[" * 500 + "]" * 500,
    "x = " + "not " * 3_000 + "1",
    "x = " + "(" * 150 + "1" + ")" * 150,
    "x = " + "1 + " * 3_000 + "1",
    "x = " + "f(" * 90 + ")" * 90,
    "password = " + "'a' + " * 800 + "'b'",
    "x.a" + ".a" * 2_000,
    "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 110)),
    "x = [x for x in " + "[x for x in " * 60 + "y" + "]" * 61,
    "!",
    "!!",
    "?",
    "x?",
    "??x",
    "%env",
    "%env A",
    "%env A='",
    "%cd",
    "%cd \x00",
    "%%writefile",
    "%%writefile a b c\nx",
    "%%writefile 'a\nx",
    "%buildflow",
    "%buildflow '",
    "%buildflow remove '",
    "app.remove(",
    "app.remove(1)",
    "app.remove(*x)",
    "@app.consumer\n",
    "@app.consumer(source=numbers)\ndef f(x: int) -> int: return x",
    "from . import *",
    "from .. import x",
    "from .x import *",
    "import a.b.c.d",
    "import sys; sys.path.insert(0, '\x00')",
    "import sys\nsys.path.insert(0, '\\0')",
    "import os\nos.environ[1] = 2",
    "import os\nos.environ.update(*x, **y)",
    "import os\nos.chdir()",
    "import os\nos.putenv()",
    "setattr()",
    "x: Secret",
    "def f(*, password=None, **k: Secret): ...",
    "a, *b, c = *d, 1",
    "[a, [*b], c] = d",
    "for a[0], b.c in d: pass",
    "password, = ()",
    "password = ()[5]",
    "password = {}['x']",
    "password = {**x, None: 1}[None]",
    "password = x[-1][::2][...]",
    "password = (lambda: password)()",
    "def password(): return password()",
    "class A(A): password = A.password",
    "password: 'Secret[' = 'x'",
    "type X = 1",
    "match x:\n    case {'password': 'y', **z}: pass",
    "global x",
    "nonlocal x",
    "return 1",
    "await x",
    "yield x",
    "del x, y",
    "x = yield",
    "\t\tx = 1\n  y = 2",
    "# buildflow: keep\n\x0c",
    "# buildflow: skip",
    "# buildflow: ???",
    "open('\x00')",
    "open('a\\0b.csv')",
    "open('" + "a" * 5_000 + ".csv')",
    '"""' + "x" * 100,
    "print('\u2028')",
    "x = 'https://[::1'",
    "x = 'https://a:b:c@[d'",
    "# https://a:b@[c",
]
VALUES = [None, True, 0, -1, 1e400, "x", HALF, [], {}, [[]], [None], [1], {"x": HALF}, 10**30]
KEYS = ["cell_type", "source", "metadata", "execution_count", "id", "outputs", "input", "level"]


def odd_cell(rng):
    """A cell with some odd text, or with something odd in place of one of its parts."""
    made = text(rng.choice(TEXTS)) if rng.random() < 0.15 else code(rng.choice(TEXTS), 1)
    made["execution_count"] = rng.choice([None, 1, 2, 3])
    if rng.random() < 0.2:
        made[rng.choice(KEYS)] = rng.choice(VALUES)
    if rng.random() < 0.1:
        made.pop(rng.choice(list(made)))
    if rng.random() < 0.1:
        made["source"] = [rng.choice([*TEXTS, "x\n", 1]) for _ in range(3)]
    return made


def odd_document(rng):
    cells = [code(cell, i) for i, cell in enumerate((LOAD, NUMBERS, DOUBLE), 1)]
    for _ in range(rng.randrange(1, 4)):
        cells.insert(rng.randrange(len(cells) + 1), odd_cell(rng))
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    if rng.random() < 0.1:
        document[rng.choice(["nbformat", "metadata", "cells", "worksheets"])] = rng.choice(VALUES)
    return document


def odd_bytes(rng):
    data = bytearray(json.dumps(odd_document(rng)).encode())
    if rng.random() < 0.15:
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(2))
    if rng.random() < 0.05:
        data = data[: rng.randrange(len(data))]
    return bytes(data)


def exported(folder, cells=(), path=None):
    """What is said: a refusal in lines that each say one thing, or nothing."""
    try:
        export_flow(cells, folder, notebook=path, force=True)
    except UsageError as error:
        said = str(error)
        assert said.strip()
        assert "Traceback" not in said
        said.encode()  # whoever tells it can write it
        return said
    for file in folder.rglob("*.py"):
        compile(file.read_text("utf-8"), str(file), "exec")
    return ""


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_no_file_does_more_than_be_refused(tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)  # noqa: S311
    refused = 0
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.ipynb"
        path.write_bytes(odd_bytes(rng))
        refused += bool(exported(tmp_path / "shop", path=path))
    assert 0 < refused < ROUNDS


@pytest.mark.parametrize("odd", TEXTS)
def test_no_cell_that_ran_does(tmp_path, monkeypatch, odd):
    monkeypatch.chdir(tmp_path)
    sources = (LOAD, odd, NUMBERS, DOUBLE)
    exported(tmp_path / "shop", [RanCell(source, i) for i, source in enumerate(sources, 1)])
    kept = f"# buildflow: keep\n{odd}"
    sources = (LOAD, kept, NUMBERS, DOUBLE)
    exported(tmp_path / "shop", [RanCell(source, i) for i, source in enumerate(sources, 1)])
