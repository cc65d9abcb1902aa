"""The port, and everything that goes wrong before a function is called."""

from __future__ import annotations

import asyncio
import gzip
import io
import subprocess
import sys
from dataclasses import dataclass

import pytest
from aiohttp import web

from buildflow_nb.core.errors import ServeError
from buildflow_nb.runtime.http import Server
from buildflow_nb.runtime.http.request import BODY_LIMIT
from tests.runtime.http.site import Site, serve, until

HEAD = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\n"


@dataclass
class Order:
    id: int
    note: str = ""


async def take(order: Order) -> int:
    return order.id


async def get(n: int = 0) -> int:
    return n


def test_a_taken_port_is_one_clear_line():
    async def main() -> None:
        first, second = Server(port=0), None
        address = await first.start()
        port = int(address.rpartition(":")[2])
        second = Server(port=port)
        with pytest.raises(ServeError) as caught:
            await second.start()
        await second.stop(0)
        await first.stop(0)
        assert str(caught.value) == (
            f"port {port} of 127.0.0.1 is taken; stop what uses it, or choose another port "
            "(0 takes any free one)"
        )
        again = Server(port=port)
        assert await again.start() == address
        await again.stop(0)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("192.0.2.1", 0, "no address of this machine"),
        ("no.such.host.invalid", 0, "no address of this machine"),
        ("127.0.0.1", 70_000, "cannot listen on port 70000"),
    ],
)
def test_what_cannot_be_listened_on(host, port, message):
    async def main() -> None:
        with pytest.raises(ServeError, match=message) as caught:
            await Server(host, port).start()
        assert "\n" not in str(caught.value)

    asyncio.run(main())


def test_other_paths_and_methods():
    async def scenario(site: Site):
        await site.endpoint(take)
        await site.endpoint(get, "/g/{n}", "GET")
        missing = await site.get("/nope")
        assert (missing.status, missing.json) == (404, {"detail": "Not Found"})
        wrong = await site.get("/x")
        assert (wrong.status, wrong.json) == (405, {"detail": "Method Not Allowed"})
        assert wrong.headers["Allow"] == "OPTIONS, POST"
        wrong = await site.ask("DELETE", "/g/1")
        assert wrong.headers["Allow"] == "GET, HEAD, OPTIONS"
        options = await site.ask("OPTIONS", "/g/1")
        assert (options.status, options.body) == (204, b"")
        assert options.headers["Allow"] == "GET, HEAD, OPTIONS"
        head = await site.ask("HEAD", "/g/1")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "1")
        assert (await site.ask("HEAD", "/x")).status == 405
        assert (await site.ask("PROPFIND", "/x")).status == 405
        assert (await site.ask("POST", "/healthz")).status == 405

    serve(scenario)


def test_health_and_no_banner():
    async def scenario(site: Site):
        reply = await site.get("/healthz")
        assert (reply.status, reply.json) == (200, {"status": "ok"})
        for path in ("/healthz", "/nope", "/docs", "/openapi.json"):
            assert (await site.get(path)).headers["Server"] == "buildflow"

    serve(scenario)


def test_the_address_leads_to_the_docs_behind_any_prefix():
    async def scenario(site: Site):
        for method in ("GET", "HEAD"):
            reply = await site.ask(method, "/")
            assert (reply.status, reply.headers["Location"]) == (307, "docs")  # of /prefix/, too
        assert b"swagger-ui" in (await site.get("/", allow_redirects=True)).body
        assert (await site.ask("POST", "/")).status == 405

    serve(scenario)


def test_the_users_routes_win():
    async def mine() -> str:
        return "mine"

    async def scenario(site: Site):
        await site.endpoint(mine, "/", "GET")
        assert (await site.get("/")).json == "mine"
        unit = await site.endpoint(mine, "/docs", "GET")
        assert (await site.get("/docs")).json == "mine"
        await unit.retire(1.0)
        assert b"swagger-ui" in (await site.get("/docs")).body

    serve(scenario)


def test_a_body_that_says_it_is_too_long_is_refused_unread():
    async def scenario(site: Site):
        unit = await site.endpoint(take)
        length = 100 * 1024 * 1024
        head = b"POST /x HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % length
        host, port = site.server.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head + b"x" * 1000)
        answer = await reader.readuntil(b"\r\n\r\n")  # long before the body is sent
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in answer
        writer.close()
        await writer.wait_closed()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert unit.snapshot().codes == ((413, 1),)

    serve(scenario)


def test_a_client_that_sends_100_mb_gets_its_413():
    sent = 0

    async def pieces():
        nonlocal sent
        for _ in range(1600):
            sent += 65_536
            yield b"x" * 65_536

    async def scenario(site: Site):
        await site.endpoint(take)
        long = await site.ask("POST", data=io.BytesIO(b"x" * (100 * 1024 * 1024)))
        assert long.status == 413
        assert long.detail == f"the body is longer than {BODY_LIMIT} bytes"
        chunked = await site.ask("POST", data=pieces())
        assert chunked.status == 413
        assert (await site.post({"id": 1})).status == 200

    serve(scenario)


def test_a_compressed_body_is_read_and_a_bomb_refused():
    async def scenario(site: Site):
        await site.endpoint(take)
        kind = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        good = await site.ask("POST", data=gzip.compress(b'{"id":7}'), headers=kind)
        assert good.json == 7
        bomb = gzip.compress(b" " * (BODY_LIMIT * 4))
        assert (await site.ask("POST", data=bomb, headers=kind)).status == 413
        broken = await site.ask("POST", data=b"not gzip at all", headers=kind)
        assert broken.status == 400
        assert "broken" in broken.detail

    serve(scenario)


def test_curl_is_told_to_continue():
    async def scenario(site: Site):
        await site.endpoint(take)
        host, port = site.server.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 8\r\n\r\n"
        writer.write(b"POST /x HTTP/1.1\r\n" + head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"id":7}')
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"7")
        writer.close()
        await writer.wait_closed()

    serve(scenario)


def test_a_slow_client_holds_nothing_up():
    async def scenario(site: Site):
        unit = await site.endpoint(take, max_concurrent_queries=1)
        host, port = site.server.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /x HTTP/1.1\r\n" + HEAD + b"Content-Length: 8\r\n\r\n{")
        await until(lambda: unit.snapshot().in_flight == 1)
        assert (await site.post({"id": 3})).json == 3
        spec = site.spec(_taking_twice())
        assert await unit.swap(spec)  # the slow one meets the new code
        writer.write(b'"id":7}')
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.read(2) == b"14"
        writer.close()
        await writer.wait_closed()

    serve(scenario)


def _taking_twice():
    async def take(order: Order) -> int:
        return 2 * order.id

    return take


def test_a_client_that_leaves_in_the_middle_of_its_body():
    async def scenario(site: Site):
        unit = await site.endpoint(take)
        host, port = site.server.address.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /x HTTP/1.1\r\n" + HEAD + b"Content-Length: 8\r\n\r\n{")
        await until(lambda: unit.snapshot().in_flight == 1)
        writer.close()
        await writer.wait_closed()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert unit.snapshot().codes == ((499, 1),)
        assert not unit.ledger.failures

    serve(scenario)


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET /x HTTP/1.1\r\n" + HEAD + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /x HTTP/1.1\r\n" + HEAD + b"A: b\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"POST /x HTTP/1.1\r\n" + HEAD + b"Content-Length: nope\r\n\r\n",
        b"POST /x HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /x HTTP/9.9\r\n" + HEAD + b"\r\n",
        b"GET /x HTTP/1.1\r\nHost: \xff\xfe\r\nBad Header\xff: x\r\n\r\n",
    ],
)
def test_bad_http_is_a_400_in_json(sent):
    async def scenario(site: Site):
        await site.endpoint(take)
        answer = await site.raw(sent)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 400 " in head.split(b"\r\n")[0]
        assert b"Content-Type: application/json" in head
        assert body.startswith(b'{"detail":')
        assert b"Traceback" not in body
        assert (await site.post({"id": 1})).status == 200

    serve(scenario)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8000"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "["}, 403),
        ({"Host": "LOCALHOST:8000"}, 200),
        ({"Host": "app.localhost"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "10.0.0.1"}, 200),
        ({"Host": "my.name"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1:8888"}, 200),
    ],
)
def test_strangers_are_refused_on_a_loopback_address(headers, status):
    async def scenario(site: Site):
        await site.endpoint(get, "/x", "GET")
        assert (await site.get("/x", headers=headers)).status == status

    serve(scenario, allowed_hosts=["my.name"])


def test_a_request_without_host_and_in_absolute_form():
    async def scenario(site: Site):
        await site.endpoint(get, "/x", "GET")
        assert b"200 OK" in await site.raw(b"GET /x HTTP/1.0\r\n\r\n")
        sent = (
            b"GET http://localhost/x?n=3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        answer = await site.raw(sent)
        assert b"200 OK" in answer
        assert answer.endswith(b"3")

    serve(scenario)


def test_everybody_may_call_where_the_guard_is_off(monkeypatch):
    async def scenario(site: Site):
        headers = {"Host": "any.example", "Origin": "https://any.example"}
        assert (await site.get("/healthz", headers=headers)).status == 200

    serve(scenario, allowed_hosts=["*"])
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/x/")
    serve(scenario)


def test_routes_come_and_go_while_it_listens():
    async def scenario(site: Site):
        unit = await site.endpoint(get, "/x", "GET")
        assert (await site.get()).status == 200
        await unit.stop(drain=True, timeout_s=1)
        for method in ("GET", "HEAD"):
            refused = await site.ask(method)
            assert refused.status == 503
            assert (refused.headers["Retry-After"], refused.headers["Connection"]) == ("5", "close")
        assert (await site.get()).detail == "stopped"
        assert (await site.post()).status == 404  # as where there has never been one
        other = await site.endpoint(get, "/x", "GET")
        assert (await site.get()).status == 200
        await unit.retire(0.0)
        assert (await site.get()).status == 200
        await other.retire(1.0)
        assert (await site.get()).status == 404
        await site.endpoint(get, "/x", "GET")
        assert (await site.get()).status == 200

    serve(scenario)


def test_websockets_pass_through():
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    async def scenario(site: Site):
        await site.endpoint(echo, "/ws", "GET")
        async with site.session.ws_connect("/ws") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "HELLO"

    serve(scenario)


def test_declaring_loads_no_aiohttp():
    code = (
        "import sys, buildflow_nb.core.declaring.flow_spec;"
        "import buildflow_nb.core.declaring.http_binding;"
        "print('aiohttp' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


NO_ROUTES = """
import sys
from buildflow_nb import Flow
from buildflow_nb.io.local import Empty, File

app = Flow()

@app.consumer(source=File("numbers.jsonl"), sink=Empty())
def same(x: int) -> int:
    return x

app.run()
print(sorted({"aiohttp", "pulumi", "grpc", "boto3"} & set(sys.modules)))
"""


def test_a_run_without_routes_loads_nothing_of_them(tmp_path):
    (tmp_path / "numbers.jsonl").write_text("1\n2\n")
    command = [sys.executable, "-c", NO_ROUTES]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "[]", found.stderr


TYPED = """
import sys, urllib.request
from dataclasses import dataclass
from buildflow_nb import Flow

@dataclass
class Order:
    id: int

app = Flow("shop")

@app.endpoint("/price", method="POST")
async def price(order: Order, dry: bool = False) -> Order:
    return order

@app.endpoint("/find", method="GET")
def find(name: str = "a") -> list[str]:
    return [name]

handle = app.run(block=False, serve_port=0)
urllib.request.urlopen(handle.address + "/price?dry=1", data=b'{"id": 1}').close()
urllib.request.urlopen(handle.address + "/find").close()
urllib.request.urlopen(handle.address + "/openapi.json").close()
handle.stop()
print(sorted({"starlette", "python_multipart"} & set(sys.modules)))
"""


def test_typed_routes_load_no_starlette(tmp_path):
    command = [sys.executable, "-c", TYPED]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip().endswith("[]"), found
