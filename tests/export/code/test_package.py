"""A program as a package is the same program."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from buildflow_nb.export.code.package import package_name
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, program, saved, text, written
from tests.export.ruff import problems

RUN_S = 60
TYPES = (
    "from dataclasses import dataclass\n\n\n@dataclass\nclass Order:\n    id: int\n    qty: int\n"
)
CELLS = (
    text("# The shop"),
    LOAD,
    text("## What comes"),
    TYPES,
    "from buildflow_nb.io.local import File\norders, out = File('orders.jsonl'), File('out.jsonl')",
    "import json\nRATE = 2\n\n\ndef total(order: Order) -> int:\n    return order.qty * RATE",
    "%%buildflow consumer source=orders, sink=out\n"
    "def price(order: Order) -> dict[str, int]:\n"
    "    return {'id': order.id, 'total': total(order), 'seen': seen()}",
    "count = 0\n\n\ndef seen() -> int:\n    global count\n    count += 1\n    return count",
    "%%buildflow endpoint '/seen'\ndef how_many() -> int:\n    return count",
)


def declares(folder):
    """The processors, as another process finds them."""
    asked = [
        sys.executable,
        "-W",
        "error",
        "-c",
        "import main; print(*sorted(main.app.processors))",
    ]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_modules(tmp_path):
    main, report = program(saved(tmp_path / "s.ipynb", *CELLS), package=True)
    folder = tmp_path / "shop"
    assert main.partition('"""')[2] == (
        'The shop."""\n\nfrom shop.processors import app\n\n'
        'if __name__ == "__main__":\n    app.run()\n'
    )
    assert (folder / "shop/__init__.py").read_text() == '"""The shop."""\n'
    types = (folder / "shop/types.py").read_text()
    assert "# What comes\n@dataclass\nclass Order" in types
    primitives = (folder / "shop/primitives.py").read_text()
    assert "from shop.types import Order\n" in primitives
    assert 'orders, out = File("orders.jsonl"), File("out.jsonl")' in primitives
    assert "def total(" in primitives
    processors = (folder / "shop/processors.py").read_text()
    assert "from shop.primitives import orders, out, total\n" in processors
    assert "global count" in processors
    assert problems(folder, "main.py", "shop") == ""
    assert declares(folder) == ["how_many", "price"]
    assert "main:app" in (folder / "buildflow.yaml").read_text()
    assert "pytest.ini" in {path.name for path in report.files}


def test_it_runs_the_same(tmp_path):
    rows = [{"id": i, "qty": i % 3} for i in range(50)]
    found = []
    for name, package in (("flat", False), ("split", True)):
        folder = tmp_path / name
        program(saved(tmp_path / "s.ipynb", *CELLS[:-1]), folder, package=package)
        (folder / "orders.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        asked = [sys.executable, "-W", "error", "main.py"]
        done = subprocess.run(asked, cwd=folder, timeout=RUN_S, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = "".join(path.read_text() for path in sorted(folder.glob("out*.jsonl")))
        found.append(sorted(json.loads(line)["total"] for line in lines.splitlines()))
    assert found[0] == found[1] == sorted(row["qty"] * 2 for row in rows)


def test_the_tests_of_the_project_pass(tmp_path):
    program(saved(tmp_path / "s.ipynb", *CELLS), package=True)
    asked = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(
        asked, cwd=tmp_path / "shop", timeout=RUN_S, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_what_hangs_together_stays_together(tmp_path):
    cells = (
        "def late():\n    return double(2)",
        "class Kind:\n    made = late",
        DOUBLE,
        "total = double(3)",
        "%%buildflow endpoint '/total'\ndef get() -> int:\n    return total + Kind.made()",
    )
    program(saved(tmp_path / "s.ipynb", LOAD, NUMBERS, *cells), package=True)
    folder = tmp_path / "shop"
    assert declares(folder) == ["double", "get"]
    assert not (folder / "shop/types.py").exists()


def test_modules_beside_secrets_and_searches(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/rates.py").write_text("RATE = 2\n")
    cells = ("import sys\nsys.path.append('lib')\nfrom rates import RATE", "token = 'abc-123'")
    use = f"{DOUBLE} * RATE * len(token)"
    _, report = program(saved(tmp_path / "s.ipynb", LOAD, NUMBERS, *cells, use), package=True)
    folder = tmp_path / "shop"
    assert report.secrets == ("TOKEN",)
    assert "abc-123" not in written(folder)
    assert "import os\n" in (folder / "shop/primitives.py").read_text()
    assert "import os\n" not in (folder / "shop/processors.py").read_text()
    assert problems(folder, "main.py", "shop") == ""


def test_the_package_has_no_name_of_what_is_imported(tmp_path):
    path = saved(tmp_path / "s.ipynb", LOAD, NUMBERS, "import numpy as np", f"{DOUBLE} * np.pi")
    program(path, tmp_path / "numpy", package=True)
    assert (tmp_path / "numpy/numpy_flow/processors.py").is_file()
    assert declares(tmp_path / "numpy") == ["double"]


@pytest.mark.parametrize(
    ("project", "taken", "name"),
    [
        ("shop", (), "shop"),
        ("My Shop-2", (), "my_shop_2"),
        ("2nd", (), "flow_2nd"),
        ("json", (), "json_flow"),
        ("tests", (), "tests_flow"),
        ("main", (), "main_flow"),
        ("class", (), "class_flow"),
        ("duckdb", ("duckdb",), "duckdb_flow"),
        ("🛒", (), "flow"),
        ("buildflow", (), "buildflow_flow"),
        ("läden", (), "l_den"),
    ],
)
def test_the_packages_name(project, taken, name):
    assert package_name(project, taken) == name
