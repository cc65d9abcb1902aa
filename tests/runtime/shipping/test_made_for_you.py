"""What the package makes for a program works in another process, too: asked there, over HTTP."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from contextlib import closing

import pytest

from buildflow_nb import middleware
from buildflow_nb.core.credentials import AWSCredentials, Secret
from buildflow_nb.core.declaring.declare import collector_spec, consumer_spec, endpoint_spec
from buildflow_nb.core.declaring.flow_spec import ServiceSpec
from buildflow_nb.core.declaring.hooks import exception_hook, middleware_hook
from buildflow_nb.core.options import (
    CollectorOptions,
    ConsumerOptions,
    EndpointOptions,
    FlowOptions,
    Options,
    ServiceOptions,
)
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.local import Empty, File
from buildflow_nb.runtime.shipping import pack_spec, unpack
from notebooks.issuer import Issuer
from tests.fakes import FakeSink, FakeSource
from tests.runtime.shipping.over_there import consumed, served

KEYS = AWSCredentials(Secret("test"), Secret("test"))
SERVICE = ServiceSpec("shop", "", ServiceOptions())


@pytest.fixture
def env(tmp_path) -> Env:
    ends = dict.fromkeys(("s3", "storage"), "http://127.0.0.1:1")
    return Env(folder=tmp_path, endpoints=ends, aws=KEYS, aws_region="us-east-1", gcp_project="p")


@pytest.fixture
def ask(child, env):
    """What an endpoint of a cell answers over there."""

    def asked(function, *paths_headers, hooks=()):
        spec = endpoint_spec(function, "/ask", "GET", SERVICE)
        pack_spec(spec, folder=env.folder)
        found = child.call(served, [spec], {hook.key: hook for hook in hooks}, env, paths_headers)
        return found if len(found) > 1 else found[0]

    return asked


BUCKETS = {
    "bucket, Amazon's": """
        from buildflow_nb.dependencies.bucket import BucketDependencyBuilder
        from buildflow_nb.io.aws import S3Bucket
        Photos = BucketDependencyBuilder(S3Bucket("photos"))
        async def ask(photos: Photos) -> dict:
            one = photos.bucket
            return {"is": [one.name, one.meta.client.meta.endpoint_url]}
    """,
    "bucket, Google's": """
        from buildflow_nb.dependencies.bucket import BucketDependencyBuilder
        from buildflow_nb.io.gcp import GCSBucket
        Photos = BucketDependencyBuilder(GCSBucket("p", "photos"))
        async def ask(photos: Photos) -> dict:
            one = photos.bucket
            return {"is": [one.name, one.client._connection.API_BASE_URL]}
    """,
}


@pytest.mark.parametrize("text", BUCKETS.values(), ids=BUCKETS)
def test_a_bucket_is_the_vendors_on_the_stacks_cloud(notebook, ask, text):
    status, _, body = ask(notebook(text).ask, ("/ask", {}))
    assert (status, json.loads(body)) == (200, {"is": ["photos", "http://127.0.0.1:1"]})


def test_a_sink_is_pushed_to(notebook, ask, tmp_path):
    cell = notebook(f"""
        from buildflow_nb.dependencies.sink import SinkDependencyBuilder
        from buildflow_nb.io.local import File
        Audit = SinkDependencyBuilder(File({str(tmp_path / "audit.jsonl")!r}))
        async def ask(id: int, audit: Audit) -> str:
            await audit.push({{"id": id}})
            await audit.push_batch([{{"id": id + 1}}, {{"id": id + 2}}])
            return "kept"
    """)
    status, _, body = ask(cell.ask, ("/ask?id=7", {}))
    assert (status, body) == (200, '"kept"')
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [7, 8, 9]


SESSIONS = {
    "sessions": """
        from buildflow_nb.dependencies.sqlalchemy import SessionDepBuilder
        Shop = SessionDepBuilder("sqlite:///shop.db")
        def ask(shop: Shop) -> dict:
            shop.session.execute(text(ADD))
            shop.session.commit()
            return {"rows": shop.session.execute(text(COUNT)).scalar()}
    """,
    "async sessions": """
        from buildflow_nb.dependencies.sqlalchemy import AsyncSessionDepBuilder
        Shop = AsyncSessionDepBuilder("sqlite:///shop.db")
        async def ask(shop: Shop) -> dict:
            await shop.session.execute(text(ADD))
            await shop.session.commit()
            return {"rows": (await shop.session.execute(text(COUNT))).scalar()}
    """,
    "an engine of a dependency's own": """
        from typing import Annotated
        from buildflow_nb.core.primitive import Env
        from buildflow_nb.dependencies import Scope, dependency
        from buildflow_nb.dependencies.sqlalchemy import engine
        @dependency(Scope.REPLICA)
        def shop(env: Env):
            made = engine(f"sqlite:///{env.folder}/shop.db")
            yield made
            made.dispose()
        def ask(made: Annotated[object, shop]) -> dict:
            with made.begin() as connection:
                connection.execute(text(ADD))
                return {"rows": connection.execute(text(COUNT)).scalar()}
    """,
}


@pytest.mark.parametrize("text", SESSIONS.values(), ids=SESSIONS)
def test_a_database_is_opened_over_there(notebook, ask, tmp_path, text):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("create table orders (id integer primary key)")
    head = """
        from sqlalchemy import text
        ADD = "insert into orders default values"
        COUNT = "select count(*) from orders"
    """
    cell = notebook(head + text)
    answers = ask(cell.ask, ("/ask", {}), ("/ask", {}))
    assert [(status, body) for status, _, body in answers] == [
        (200, '{"rows":1}'),
        (200, '{"rows":2}'),
    ]
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        assert shop.execute("select count(*) from orders").fetchone() == (2,)


def test_credentials_in_headers(notebook, ask):
    cell = notebook("""
        from typing import Annotated
        from starlette.requests import HTTPConnection
        from buildflow_nb.dependencies import Scope, dependency
        from buildflow_nb.dependencies.headers import BearerCredentials, SecurityHeader
        @dependency(Scope.PROCESS)
        class Key(SecurityHeader):
            @classmethod
            def service_auth_info(cls):
                return {"shop key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
            @classmethod
            def endpoint_auth_info(cls): return {"shop key": []}
            def __init__(self, connection: HTTPConnection):
                self.key = connection.headers.get("x-key")
        async def ask(bearer: BearerCredentials, key: Key) -> dict:
            return {"token": bearer.token, "key": key.key}
    """)
    headers = {"Authorization": "Bearer hidden", "X-Key": "7"}
    given, none, document = ask(cell.ask, ("/ask", headers), ("/ask", {}), ("/openapi.json", {}))
    assert json.loads(given[2]) == {"token": "hidden", "key": "7"}
    assert json.loads(none[2]) == {"token": None, "key": None}
    assert "shop key" in json.loads(document[2])["components"]["securitySchemes"]


def test_a_google_user(notebook, ask):
    with Issuer() as issuer:
        cell = notebook(f"""
            from buildflow_nb.dependencies.auth import AuthenticatedGoogleUserDepBuilder
            User = AuthenticatedGoogleUserDepBuilder(
                audience="shop", issuer={issuer.url!r}, certs_url={issuer.certs_url!r})
            async def ask(user: User) -> str: return user.google_user.email
        """)
        bearer = {"Authorization": f"Bearer {issuer.signed()}"}
        known, unknown = ask(cell.ask, ("/ask", bearer), ("/ask", {}))
    assert (known[0], known[2]) == (200, '"ada@example.com"')
    assert unknown[0] == 403


def test_what_a_flow_is_asked_to_do_with_errors(notebook, ask):
    cell = notebook("""
        from buildflow_nb.responses import JSONResponse
        class NoStockError(Exception): ...
        async def answer(request, error: NoStockError):
            return JSONResponse({"none": str(error)}, status_code=409)
        async def ask() -> str: raise NoStockError("pens")
    """)
    hook = exception_hook(cell.NoStockError, cell.answer)
    status, _, body = ask(cell.ask, ("/ask", {}), hooks=[hook])
    assert (status, json.loads(body)) == (409, {"none": "pens"})


GZIP = {"Accept-Encoding": "gzip"}
ORIGIN = {"Origin": "https://shop.example.com"}
MIDDLEWARE = {
    "CORSMiddleware": (
        {"allow_origins": ["https://shop.example.com"]},
        lambda status, headers: headers["access-control-allow-origin"] == ORIGIN["Origin"],
    ),
    "GZipMiddleware": (
        {"minimum_size": 5},
        lambda status, headers: headers["content-encoding"] == "gzip",
    ),
    "HTTPSRedirectMiddleware": (
        {},
        lambda status, headers: status == 307 and headers["location"].startswith("https://"),
    ),
    "TrustedHostMiddleware": (
        {"allowed_hosts": ["shop.example.com"]},
        lambda status, headers: status == 400,
    ),
    "SessionMiddleware": (
        {"secret_key": Secret("hidden-0123456789")},
        lambda status, headers: "session=" in headers["set-cookie"],
    ),
}


def test_all_the_middleware_is_here():
    assert {*middleware.__all__} - {"Middleware"} == set(MIDDLEWARE)


@pytest.mark.parametrize("name", MIDDLEWARE)
def test_middleware(notebook, ask, name):
    cell = notebook("""
        from buildflow_nb.requests import Request
        async def ask(request: Request) -> str:
            if "session" in request.scope:
                request.session["id"] = 7
            return "a long answer"
    """)
    words, is_at_work = MIDDLEWARE[name]
    hook = middleware_hook(getattr(middleware, name), words)
    status, headers, _ = ask(
        cell.ask, ("/ask", ORIGIN if name == "CORSMiddleware" else GZIP), hooks=[hook]
    )
    assert is_at_work(status, headers), (status, headers)


def test_middleware_of_ones_own(notebook, ask):
    cell = notebook("""
        NAME = "shop"
        async def named(request, call_next):
            response = await call_next(request)
            response.headers["X-Served-By"] = NAME
            return response
        class Counted:
            def __init__(self, app, *, start): self.app, self.count = app, start
            async def __call__(self, scope, receive, send):
                self.count += 1
                scope["counted"] = self.count
                await self.app(scope, receive, send)
        from buildflow_nb.requests import Request
        async def ask(request: Request) -> int: return request.scope["counted"]
    """)
    hooks = [middleware_hook(cell.named, {}), middleware_hook(cell.Counted, {"start": 4})]
    answers = ask(cell.ask, ("/ask", {}), ("/ask", {}), hooks=hooks)
    assert [body for _, _, body in answers] == ["5", "6"]
    assert {headers["x-served-by"] for _, headers, _ in answers} == {"shop"}


KINDS = [ConsumerOptions, ServiceOptions, CollectorOptions, EndpointOptions]
OTHERS = {"enable_autoscaler": False, "log_level": "DEBUG", "delivery": "exactly-once"}


def other(kind: type[Options]) -> Options:
    """Options none of which is what it is by default."""
    words: dict[str, object] = {}
    for number, field in enumerate(dataclasses.fields(kind), 70):
        words[field.name] = File("dead.jsonl") if field.name == "dead_letter" else number
    words |= {name: value for name, value in OTHERS.items() if name in words}
    words |= {"min_replicas": 2, "num_replicas": 3}
    made = kind.parse(words, "made")
    assert all(getattr(made, f.name) != f.default for f in dataclasses.fields(kind))
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_option_is_the_same_over_there(notebook, child, kind):
    cell = notebook("def price(x: int) -> int: return x\ndef of(spec): return spec.options")
    options = other(kind)
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(kind)}
    if kind is ConsumerOptions:
        spec = consumer_spec(cell.price, FakeSource([[1]]), FakeSink(), {})
    elif kind is CollectorOptions:
        spec = collector_spec(cell.price, "/price", "POST", File("out.jsonl"), {})
    else:
        spec = endpoint_spec(cell.price, "/price", "POST", SERVICE)
    spec = dataclasses.replace(spec, options=options)
    found = child.call(cell.of, unpack(pack_spec(spec)))
    assert (type(found), {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}) == (
        kind,
        given,
    )


def test_options_of_a_flow(child):
    options = FlowOptions(stack="prod", engine="ray", gcp_service_account_info="hidden")
    found, said = child.call(lambda x: (x, repr(x)), options)
    assert found == options
    assert "hidden" not in said


def test_what_is_here_reads_and_writes_over_there(notebook, child, env, tmp_path):
    (tmp_path / "orders.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    cell = notebook("def price(order: dict) -> dict: return {**order, 'v': 3}")
    table = DuckDBTable(tmp_path / "shop.duckdb", "orders")
    for source, sink in (
        (File(tmp_path / "orders.jsonl"), table),
        (table, File(tmp_path / "out.jsonl")),
        (DuckDBQuery(table.database, "select * from orders"), Empty()),
    ):
        spec = consumer_spec(cell.price, source, sink, {})
        pack_spec(spec)
        assert child.call(consumed, spec, env) == 2
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": 1, "v": 3}, {"id": 2, "v": 3}]
