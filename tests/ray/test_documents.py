"""What the documents show runs in actors, too, letter by letter, and gives the same.

A script and the command learn of the engine from the stack in buildflow.yaml, a kernel from the
words of its `run`. Taken are those that run a flow: the README's cells and its script, the example
of docs/connectors.md with its own source and sink, BuildFlow's processors of all three kinds, and
BuildFlow's services with every test that they have in a process. All others declare something and
run nothing, or need a store or a cloud, which are not other for being asked by a replica.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.documents.magic_lines import ROOT, blocks
from tests.documents.services import SERVICES
from tests.documents.snippets import ADD_METHODS
from tests.documents.test_services import (  # noqa: F401  (they are run here as they are)
    rows,
    test_a_bearer,
    test_a_database_session,
    test_a_form_with_files,
    test_a_service_declared_apart,
    test_a_sink_from_inside,
    test_a_websocket,
    test_collectors_into_files_and_tables,
    test_defaults,
    test_dependencies_of_all_scopes,
    test_exceptions,
    test_middleware,
    test_responses,
    test_sessions,
    test_several_outputs_of_an_endpoint,
    test_the_request,
    until_served,
)
from tests.documents.ways import Command
from tests.fakes import PATIENCE_S
from tests.notebook.kernels import Kernel
from tests.notebooks.exported import free_port

from .rig import until

pytestmark = pytest.mark.notebook
ENDS_S = 60.0  # of a program that starts a driver, on a busy machine
ORDERS = [{"id": 1, "qty": 2}, {"id": 2, "qty": 5}, {"id": 3, "qty": 1}]
PRICED = [(1, 19.0), (2, 47.5), (3, 9.5)]
README = [text for text in blocks((ROOT / "README.md").read_text()) if text.strip()]
STACK = """\
app: shop
entry_point: main:app
pulumi_config:
  default_stack: here
  stacks:
  - name: here
    cloud: local
    engine: ray
    address: {address}
"""


@pytest.fixture
def folder(rig, tmp_path) -> Path:
    """A folder whose stack names the cluster."""
    return on_ray(tmp_path, rig.address)


def on_ray(folder: Path, address: str) -> Path:
    (folder / "buildflow.yaml").write_text(STACK.format(address=address))
    return folder


def script(folder: Path, text: str) -> str:
    """What a program prints until it ends by itself."""
    (folder / "main.py").write_text(text)
    words = [sys.executable, "main.py"]
    ended = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=ENDS_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def priced(folder: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(folder / "shop.duckdb") as connection:
        return connection.execute("SELECT id, total FROM priced ORDER BY id").fetchall()


def test_the_readmes_script(folder):
    (folder / "orders.csv").write_text("id,qty\n1,2\n2,5\n3,1\n")
    (text,) = (text for text in README if "app.run()" in text)
    script(folder, text)
    assert priced(folder) == PRICED


def test_the_readmes_cells(rig, tmp_path):
    at = next(n for n, text in enumerate(README) if "%buildflow run" in text)
    lines = [line.partition("#")[0].strip() for line in README[at].splitlines()]
    assert (lines[0], lines[-1]) == ("%buildflow run", "%buildflow stop")
    kernel, port = Kernel(tmp_path), free_port()

    def said(text: str) -> str:
        ran = kernel(text)
        assert ran.error is None, ran.traceback
        shown = [bundle.get("text/plain", "") for bundle in (*ran.bundles, *ran.updates)]
        return "\n".join([ran.text, *shown])

    try:
        for cell in README[at - 3 : at]:
            said(cell)
        said(f"{lines[0]} --port {port} --engine ray --address {rig.address}")
        end = 'app.handle.wait_until(drained=True, timeout=60).processor("price")'
        assert said(f"print(({end}).elements_out)").startswith("3\n")
        with client_of(port) as client:
            assert client.get("/total/2").json() == 19.0
        found = {line.split()[1]: said(line) for line in lines[1:] if " " in line}
    finally:
        kernel.close()
    assert "Priced(id=4, total=19.0)" in found["send"]
    assert "47.5" in found["peek"]
    assert "price" in found["check"]
    assert priced(tmp_path) == PRICED


def test_a_source_and_a_sink_of_ones_own(folder):
    texts = blocks((ROOT / "docs" / "connectors.md").read_text())
    assert script(folder, "".join(texts[:3])) == "[(4,)]\n"


class OnRay(Command):
    """The command, in a folder whose stack names the cluster."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextmanager
    def serving(self, folder: Path, text: str, port: int) -> Iterator[None]:
        with super().serving(on_ray(folder, self._address), text, port):
            yield


@contextmanager
def client_of(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
        until_served(client)
        yield client


@pytest.fixture(scope="module")
def shop(rig, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of BuildFlow's services, and the folder where they run."""
    folder, port = tmp_path_factory.mktemp("shop"), free_port()
    (folder / "page.html").write_text("<h1>file</h1>")
    with OnRay(rig.address).serving(folder, SERVICES, port), client_of(port) as client:
        client.folder = folder  # type: ignore[attr-defined]
        yield client


def test_processors_of_all_kinds(rig, tmp_path):
    (tmp_path / "orders.json").write_text("".join(f"{json.dumps(row)}\n" for row in ORDERS))
    port = free_port()
    with OnRay(rig.address).serving(tmp_path, ADD_METHODS, port), client_of(port) as client:
        assert client.get("/serve?name=Ada").json() == "Hello Ada!"
        assert client.get("/collect?id=7").json() == {"success": True}
        consumed = tmp_path / "consumed.json"
        assert until(lambda: consumed.exists() and len(rows(consumed)) == len(ORDERS), PATIENCE_S)
    assert rows(tmp_path / "consumed.json") == ORDERS
    assert rows(tmp_path / "collected.json") == [{"id": 7}]
