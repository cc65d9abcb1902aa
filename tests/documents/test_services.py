"""Services as BuildFlow's users write them run here in every way, export included."""

from __future__ import annotations

import json
import time
from pathlib import Path

import duckdb
import httpx
import pytest
from websockets.sync.client import connect

from tests.documents.services import SERVICES
from tests.documents.ways import SERVING, WAYS
from tests.fakes import PATIENCE_S
from tests.notebooks.exported import free_port

pytestmark = pytest.mark.notebook
PNG = ("photo.png", b"\x89PNG", "image/png")


@pytest.fixture(scope="module", params=SERVING)
def shop(request, tmp_path_factory):
    """A client of the served flow, and the folder where it runs."""
    folder, port = tmp_path_factory.mktemp("shop"), free_port()
    (folder / "page.html").write_text("<h1>file</h1>")
    with (
        SERVING[request.param].serving(folder, SERVICES, port) as there,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
    ):
        client.folder = there if isinstance(there, Path) else folder
        until_served(client)
        yield client


def until_served(client) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            assert client.get("/healthz").status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline, "nobody answers"
            time.sleep(0.05)
        else:
            return


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_dependencies_of_all_scopes(shop):
    found = shop.get("/shop/scopes", headers={"User-Agent": "tests"}).json()
    assert found == {"same": True, "other": True, "agent": "tests"}


def test_defaults(shop):
    assert shop.get("/shop/defaults?id=3").json() == {"id": 3, "sku": "none", "limit": None}
    assert shop.get("/shop/defaults").status_code == 422


def test_several_outputs_of_an_endpoint(shop):
    found = shop.post("/shop/orders/7", json={"id": 8}).json()
    assert found == [{"id": 7, "total": 1.5}, {"id": 8, "total": 2.5}]


def test_the_request(shop):
    found = shop.post("/shop/request?a=1", content=b"raw", headers={"Cookie": "colour=red"})
    assert found.json() == {
        "path": "/shop/request",
        "query": {"a": "1"},
        "cookie": "red",
        "body": "raw",
    }


def test_sessions(shop):
    first = shop.get("/shop/visits")
    assert first.json() == 1
    assert "httponly" in first.headers["set-cookie"].lower()
    assert shop.get("/shop/visits").json() == 2


def test_a_database_session(shop):
    first = shop.get("/shop/rows").json()
    assert shop.get("/shop/rows").json() == first + 1


def test_a_bearer(shop):
    assert shop.get("/shop/token").json() is None
    assert shop.get("/shop/token", headers={"Authorization": "Bearer abc"}).json() == "abc"


def test_a_form_with_files(shop):
    found = shop.post("/shop/upload", data={"title": "me"}, files={"photo": PNG, "raw": PNG})
    assert found.json() == {"name": "photo.png", "size": 4, "title": "me", "raw": 4}
    assert shop.post("/shop/upload", files={"photo": PNG}).status_code == 422


def test_exceptions(shop):
    found = shop.get("/shop/teapot")
    assert (found.status_code, found.json()) == (418, {"detail": "short and stout"})
    assert found.headers["x-tea"] == "green"
    found = shop.get("/shop/broken")
    assert found.status_code == 500
    assert "secret" not in found.text


def test_responses(shop):
    assert shop.get("/shop/page").headers["content-type"] == "text/html; charset=utf-8"
    moved = shop.get("/shop/moved")
    assert (moved.status_code, moved.headers["location"]) == (307, "/shop/page")
    assert (shop.get("/shop/json").status_code, shop.get("/shop/text").text) == (201, "hello")
    assert shop.get("/shop/stream").text == "0\n1\n2\n"
    assert shop.get("/shop/file").text == "<h1>file</h1>"
    part = shop.get("/shop/file", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.text) == (206, "file")


def test_middleware(shop):
    site = "https://shop.example"
    found = shop.get("/shop/text", headers={"Origin": site})
    assert found.headers["access-control-allow-origin"] == site
    assert shop.get("/shop/text", headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_websocket(shop):
    address = f"ws://127.0.0.1:{shop.base_url.port}/shop/echo?name=Ada"
    with connect(address) as socket:
        assert socket.recv(PATIENCE_S) == "hello Ada"
        socket.send("back")
        assert socket.recv(PATIENCE_S) == "back"
        with pytest.raises(Exception, match="1000"):
            socket.recv(PATIENCE_S)


def test_a_sink_from_inside(shop):
    assert shop.post("/shop/push", json={"id": 1, "sku": "a"}).json() == 2
    assert rows(shop.folder / "pushed.json")[:2] == [
        {"id": 1, "sku": "a"},
        {"id": 2, "sku": "dict"},
    ]


def test_collectors_into_files_and_tables(shop):
    assert shop.post("/collect", json={"id": 1, "sku": "a"}).json() == {"success": True}
    assert [row["id"] for row in rows(shop.folder / "collected.json")[:2]] == [1, 2]
    assert shop.post("/detached", json={"id": 5}).json() == {"success": True}
    assert rows(shop.folder / "detached.json")[0]["id"] == 5
    assert shop.post("/table", json={"id": 4}).json() == {"success": True}


def test_a_service_declared_apart(shop):
    assert shop.get("/apart/hello").json() == "hello"


def test_the_table_holds_what_was_collected(tmp_path):
    """After the flow has ended, since DuckDB lets one process in."""
    port = free_port()
    with (
        WAYS["script"].serving(tmp_path, SERVICES, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
    ):
        until_served(client)
        assert client.post("/table", json={"id": 4}).json() == {"success": True}
    with duckdb.connect(tmp_path / "priced.duckdb") as connection:
        assert connection.execute("SELECT id, total FROM priced").fetchall() == [(4, 8.0)]
