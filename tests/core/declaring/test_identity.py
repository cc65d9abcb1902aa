"""Who declares a flow, told by the file whose code makes it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.declaring.identity import NAMELESS, identity

SHOW = "from buildflow_nb import Flow\nprint(Flow().flow_id)\n"


def printed(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def test_a_program_is_its_path_in_the_project(tmp_path):
    (tmp_path / "buildflow.yaml").write_text("app: shop\n")
    inner = tmp_path / "services"
    inner.mkdir()
    (inner / "orders.py").write_text(SHOW)
    assert printed(tmp_path, "services/orders.py") == "services/orders.py"
    assert printed(inner, "orders.py") == "services/orders.py"
    assert printed(inner, str(inner / "orders.py")) == "services/orders.py"


def test_a_module_is_the_same_flow_whoever_imports_it(tmp_path):
    (tmp_path / "flow.py").write_text("from buildflow_nb import Flow\napp = Flow()\n")
    (tmp_path / "main.py").write_text("from flow import app\nprint(app.flow_id)\n")
    assert printed(tmp_path, "main.py") == "flow.py"
    assert printed(tmp_path, "-c", "from flow import app; print(app.flow_id)") == "flow.py"


def test_code_in_no_file_has_buildflows_own_name(tmp_path):
    assert printed(tmp_path, "-c", SHOW) == NAMELESS


def test_programs_elsewhere_are_told_apart_by_their_path(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "main.py").write_text(SHOW)
    (tmp_path / "work" / "main.py").write_text(SHOW)
    assert printed(tmp_path / "work", "../main.py") == (tmp_path / "main.py").as_posix()
    assert printed(tmp_path / "work", "main.py") == "main.py"


def test_what_calls_it_for_a_program_is_passed_over(tmp_path):
    (tmp_path / "main.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from functools import partial\n"
        "from buildflow_nb import Flow\n"
        "with ThreadPoolExecutor() as pool:\n"
        "    print(pool.submit(partial(Flow)).result().flow_id)\n"
    )
    assert printed(tmp_path, "main.py") == "main.py"


def test_a_folder_behind_a_link_is_the_same(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "main.py").write_text(SHOW)
    assert printed(tmp_path / "link", str(tmp_path / "real" / "main.py")) == "main.py"


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [({"JPY_SESSION_NAME": "{}/deep/a.ipynb"}, "deep/a.ipynb"), ({}, NAMELESS)],
)
def test_a_kernel_is_its_notebook_also_where_the_extension_makes_the_flow(
    tmp_path, variables, wanted
):
    program = textwrap.dedent(
        """
        import os
        from ipykernel.inprocess.ipkernel import InProcessKernel
        kernel = InProcessKernel(user_ns={})
        kernel.shell.run_cell("%load_ext buildflow_nb")
        from buildflow_nb import Flow
        print(kernel.shell.user_ns["app"].flow_id)
        kernel.shell.run_cell("from buildflow_nb import Flow")
        kernel.shell.run_cell("app = Flow()")
        print(kernel.shell.user_ns["app"].flow_id)
        kernel.shell.run_cell("%run other.py")
        """
    )
    (tmp_path / "other.py").write_text(SHOW)
    (tmp_path / "deep").mkdir()
    set_up = "".join(
        f"import os; os.environ[{k!r}] = {v.format(tmp_path)!r}\n" for k, v in variables.items()
    )
    assert printed(tmp_path, "-c", set_up + program).split() == [wanted, wanted, "other.py"]


def test_a_name_that_is_given_stands_and_who_declares_is_known_beside_it(tmp_path, monkeypatch):
    app = Flow("shop")
    assert app.flow_id == "shop"
    assert app.identity.endswith("tests/core/declaring/test_identity.py")
    assert identity(tmp_path, None) != ""
