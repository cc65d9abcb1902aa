"""What BuildFlow's documents show runs here: as a script, as a notebook, and by the command."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from buildflow_nb import Flow
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.documents.snippets import ADD_METHODS, DECORATORS, FLOW, MANAGE, OPTIONS, STACKS
from tests.documents.ways import WAYS
from tests.fakes import PATIENCE_S

pytestmark = pytest.mark.notebook
ORDERS = [{"id": 1, "qty": 2}, {"id": 2, "qty": 5}, {"id": 3, "qty": 1}]


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def ask(port: int, path: str) -> object:
    """Ask until somebody answers."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            url = f"http://127.0.0.1:{port}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"nobody answers on port {port}"
            time.sleep(0.05)


def rows(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("snippet", [DECORATORS, ADD_METHODS], ids=["decorators", "add methods"])
def test_processors(tmp_path, way, snippet, port):
    (tmp_path / "orders.json").write_text("".join(f"{json.dumps(row)}\n" for row in ORDERS))
    with way.serving(tmp_path, snippet, port):
        assert ask(port, "/serve?name=Ada") == "Hello Ada!"
        assert ask(port, "/collect?id=7") == {"success": True}
        deadline = time.monotonic() + PATIENCE_S
        while len(rows(tmp_path / "consumed.json")) < len(ORDERS):
            assert time.monotonic() < deadline, "the orders did not arrive"
            time.sleep(0.02)
    assert rows(tmp_path / "consumed.json") == ORDERS
    assert rows(tmp_path / "collected.json") == [{"id": 7}]


def test_a_flow_is_made_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made: dict[str, object] = {}
    exec(FLOW.replace("buildflow", "buildflow_nb"), made)  # noqa: S102  (it is a text of ours)
    assert isinstance(made["app"], Flow)
    assert made["app"].stack == "local"


@pytest.mark.pulumi
@pytest.mark.emulator
def test_managed_primitives(tmp_path, way):
    try:
        said = way.operate(tmp_path, MANAGE, "apply", yes=True)
        assert "my-bucket" in said
        storage = start_cloud(tmp_path).endpoints["storage"]
        assert "my-bucket" in _listed(storage)
        said = way.operate(tmp_path, MANAGE, "destroy", yes=True)
        assert "my-bucket" in said
        assert "my-bucket" not in _listed(storage)
    finally:
        stop_cloud(tmp_path)


@pytest.mark.pulumi
@pytest.mark.emulator
def test_options(tmp_path, way):
    (tmp_path / "buildflow.yaml").write_text(STACKS)
    try:
        assert "orders" in way.operate(tmp_path, OPTIONS, "apply")  # without being asked
        assert list((tmp_path / ".buildflow/_pulumi/local").rglob("stacks/shop/*.json")) == [
            tmp_path / ".buildflow/_pulumi/local/.pulumi/stacks/shop/prod.json"
        ]
    finally:
        stop_cloud(tmp_path)


def _listed(storage: str) -> str:
    """The buckets of the local cloud, as Google's JSON API lists them."""
    url = f"{storage}/storage/v1/b?project=local-project"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (our own)
        text: str = answer.read().decode()
        return text
