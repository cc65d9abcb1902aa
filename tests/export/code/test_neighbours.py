"""Modules beside the notebook come along, with what they import; none of them is run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from buildflow_nb.export.messages import ExportError
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, program, saved, written
from tests.export.ruff import problems

BOOM = "raise SystemExit('this module was run')\n"


@pytest.fixture
def notebook(tmp_path):
    """Makes a notebook of these cells, with modules in its folder."""

    def make(*cells, **modules):
        for name, text in modules.items():
            parts = ["__init__" if part == "init" else part for part in name.split("__")]
            path = tmp_path.joinpath("nb", *parts).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return saved(tmp_path / "nb" / "shop.ipynb", LOAD, NUMBERS, *cells)

    return make


def refused(path):
    with pytest.raises(ExportError) as error:
        program(path, path.parent / "out")
    return error.value.reasons


def test_a_module_with_what_it_imports(notebook):
    path = notebook(
        "import helpers\nfrom lib import rates\nfrom lib.deep.down import UP",
        f"{DOUBLE} * helpers.up(rates.RATE) * UP",
        helpers="import json\nimport other as another\ndef up(x):\n    import late\n    return x\n",
        other="from lib.more import *\n",
        late="X = 1\n",
        unused=BOOM,
        lib__init="",
        lib__rates="from . import sister\nfrom .more import M\nRATE = 1\n",
        lib__sister="import numpy\n",
        lib__more="M = 2\n",
        lib__deep__init="",
        lib__deep__down="from ..more import M as UP\n",
        lib__unused=BOOM,
    )
    main, report = program(path, path.parent / "out")
    made = {p.relative_to(path.parent / "out").as_posix() for p in report.files}
    assert {name for name in made if name.endswith(".py") and name.startswith(("l", "h", "o"))} == {
        "helpers.py",
        "other.py",
        "late.py",
        "lib/__init__.py",
        "lib/rates.py",
        "lib/sister.py",
        "lib/more.py",
        "lib/deep/__init__.py",
        "lib/deep/down.py",
    }
    assert "unused.py" not in made
    assert "numpy==" in (path.parent / "out/requirements.txt").read_text()
    assert "\n\nimport helpers\nfrom lib import rates\nfrom lib.deep.down import UP\n" in main
    assert problems(path.parent / "out", "main.py") == ""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import main; print(*main.app.processors)"],
        cwd=path.parent / "out",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "double\n", done.stderr


def test_a_folder_without_init(notebook):
    path = notebook("from space import rates", f"{DOUBLE} * rates.RATE", space__rates="RATE = 1\n")
    program(path, path.parent / "out")
    assert (path.parent / "out/space/rates.py").is_file()


def test_it_is_not_run(notebook):
    path = notebook("from helpers import RATE", f"{DOUBLE} * RATE", helpers=f"RATE = 1\n{BOOM}")
    main, _ = program(path, path.parent / "out")
    assert "from helpers import RATE\n" in main
    assert "helpers" not in sys.modules


def test_a_folder_that_the_program_searches(notebook):
    path = notebook(
        "import sys\nsys.path.insert(0, 'lib')",
        "from rates import RATE",
        f"{DOUBLE} * RATE",
        lib__rates="RATE = 2\n",
    )
    main, _ = program(path, path.parent / "out")
    assert (path.parent / "out/lib/rates.py").is_file()
    assert main.index('sys.path.insert(0, "lib")') < main.index("from rates import RATE")
    assert problems(path.parent / "out", "main.py") == ""


def test_what_it_cannot_do_without(notebook):
    path = notebook(
        "import helpers",
        f"{DOUBLE} * helpers.x",
        helpers="import nowhere\ntry:\n    import fast\nexcept ImportError:\n    fast = None\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import types_only\n",
    )
    (reason,) = refused(path)
    assert reason.startswith("helpers.py line 1: no installed package provides 'nowhere'")


def test_an_import_that_is_done_without(notebook):
    cell = "try:\n    import fast_json as json\nexcept ImportError:\n    import json"
    path = notebook(cell, f"{DOUBLE} * len(json.dumps(x))")
    main, _ = program(path, path.parent / "out")
    assert "except ImportError:" in main
    assert "fast" not in (path.parent / "out/requirements.txt").read_text()


def test_a_secret_in_it(notebook):
    path = notebook(
        "import helpers",
        f"{DOUBLE} * len(helpers.TOKEN)",
        helpers='"""Helps."""\nfrom __future__ import annotations\nTOKEN = "t0k3n-1"  # t0k3n-1\n',
    )
    _, report = program(path, path.parent / "out")
    copy = (path.parent / "out/helpers.py").read_text()
    assert 'TOKEN = os.environ["TOKEN"]  # ****' in copy
    assert "import os\n" in copy
    assert report.secrets == ("TOKEN",)
    assert report.warnings[0].startswith("helpers.py line 3: TOKEN is written out")
    assert "t0k3n-1" not in written(path.parent / "out") + str(report)
    asked = [sys.executable, "-c", "import main"]
    environment = {**os.environ, "TOKEN": "x"}
    subprocess.run(asked, cwd=path.parent / "out", env=environment, check=True)


def test_buildflows_name_in_it(notebook):
    path = notebook(
        "import helpers",
        f"{DOUBLE} * len(helpers.KINDS)",
        helpers="import buildflow\nimport buildflow.io.local\nfrom buildflow.io.local import File\n"
        "KINDS = [File, buildflow.io.local.Pulse, buildflow.Flow]\n",
    )
    program(path, path.parent / "out")
    asked = [sys.executable, "-c", "import main"]
    subprocess.run(asked, cwd=path.parent / "out", check=True)


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("helpers", "x = = 1", "cell [3] line 1: helpers.py cannot be read as a module: invalid"),
        ("helpers", f"x = 1\n#{'x' * 1_000_000}", "cell [3] line 1: helpers.py is larger than"),
        ("main", "x = 1", "cell [3] line 1: the module main beside the notebook has the name of"),
    ],
)
def test_a_module_that_cannot_be_copied(notebook, module, text, said):
    path = notebook(f"import {module}", f"{DOUBLE} * {module}.x", **{module: text})
    (reason,) = refused(path)
    assert reason.startswith(said)


def test_a_module_of_other_bytes(notebook):
    path = notebook("import helpers", f"{DOUBLE} * helpers.x", helpers="x = 1\n")
    (path.parent / "helpers.py").write_bytes(b"x = '\xff'\n")
    (reason,) = refused(path)
    assert "helpers.py cannot be read as a module: 'utf-8' codec" in reason


def test_the_kernels_folder_where_there_is_no_file(tmp_path, monkeypatch):
    from tests.export.notebook import exported

    (tmp_path / "my_rates.py").write_text("RATE = 2\n")
    monkeypatch.chdir(tmp_path)
    cells = ("from my_rates import RATE", DOUBLE.replace("2", "RATE"))
    exported(tmp_path / "shop", LOAD, NUMBERS, *cells)
    assert (tmp_path / "shop/my_rates.py").read_text() == "RATE = 2\n"
