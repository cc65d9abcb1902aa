"""Dependencies of endpoints and collectors: made for a request, with the request, and closed."""

import functools
from typing import Annotated

import pytest
from starlette.requests import HTTPConnection, Request

from buildflow_nb.core.errors import DeclarationError, UsageError
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.exceptions import HTTPException
from buildflow_nb.runtime.observability.failures import RetryInput
from tests.fakes import FakeSink
from tests.runtime.http.shop import Order
from tests.runtime.http.site import Site, serve


@dependency(Scope.PROCESS)
class User:
    def __init__(self, request: Request):
        self.name = request.headers.get("X-User")
        if self.name is None:
            raise HTTPException(401, "who are you?", {"WWW-Authenticate": "Bearer"})


@pytest.fixture
def diary():
    return []


@pytest.fixture
def session(diary):
    @dependency(Scope.PROCESS)
    def session():
        diary.append("open")
        try:
            yield "session"
        except BaseException as error:
            diary.append(type(error).__name__)
            raise
        diary.append("commit")

    return session


def both(code, as_async):
    """A function as it is, or as a coroutine function."""
    if not as_async:
        return code

    async def coroutine(*args, **words):
        return code(*args, **words)

    return functools.wraps(code)(coroutine)


@pytest.mark.parametrize("as_async", [False, True])
def test_the_request_is_given_and_an_answer_of_the_dependencys_is_sent(as_async):
    def hello(order: Order, user: User) -> str:
        return f"{user.name}: {order.id}"

    async def scenario(site: Site):
        unit = await site.endpoint(both(hello, as_async))
        reply = await site.ask("POST", json={"id": 7}, headers={"X-User": "ann"})
        assert (reply.status, reply.json) == (200, "ann: 7")
        reply = await site.ask("POST", json={"id": 7})
        assert (reply.status, reply.detail) == (401, "who are you?")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert not unit.ledger.failures  # the client's fault

    serve(scenario)


def test_a_dependency_may_read_the_body_that_the_function_reads_too():
    @dependency(Scope.PROCESS)
    class Signature:
        async def __init__(self, request: Request):
            self.length = len(await request.body())

    def hello(order: Order, signature: Signature) -> int:
        return order.id * 100 + signature.length

    async def scenario(site: Site):
        await site.endpoint(hello)
        reply = await site.ask("POST", json={"id": 7})
        assert reply.json == 709

    serve(scenario)


def test_a_connection_is_whichever_there_is():
    @dependency(Scope.PROCESS)
    class Who:
        def __init__(self, connection: HTTPConnection):
            self.name = connection.query_params["who"]

    def hello(who: Who) -> str:
        return who.name

    async def scenario(site: Site):
        await site.endpoint(hello, method="GET")
        assert (await site.get("/x?who=ann")).json == "ann"

    serve(scenario)


@pytest.mark.parametrize("as_async", [False, True])
def test_what_a_call_opened_is_closed_before_the_answer(as_async, diary, session):
    def hello(order: Order, s: Annotated[str, session]) -> str:
        diary.append("call")
        if order.id == 13:
            msg = "bad luck"
            raise LookupError(msg)
        return s

    async def scenario(site: Site):
        unit = await site.endpoint(both(hello, as_async))
        assert (await site.post({"id": 7})).json == "session"
        assert diary == ["open", "call", "commit"]
        diary.clear()
        assert (await site.post({"id": 13})).status == 500
        assert diary == ["open", "call", "LookupError"]
        assert len(unit.ledger.failures) == 1

    serve(scenario)


def test_a_commit_that_fails_is_no_success():
    @dependency(Scope.PROCESS)
    def session():
        yield
        msg = "disk full"
        raise OSError(msg)

    def hello(order: Order, s: Annotated[None, session]) -> int:
        return order.id

    async def scenario(site: Site):
        sink = FakeSink()
        unit = await site.collector(hello, sink)
        assert (await site.post({"id": 7})).status == 500
        assert not sink.tape.pushed
        assert "disk full" in unit.ledger.failures[0].error

    serve(scenario)


def test_a_swap_keeps_the_connection_and_a_stop_closes_it(diary):
    @dependency(Scope.REPLICA)
    class DB:
        def __init__(self):
            diary.append("connect")

        async def aclose(self):
            diary.append("close")

    def hello(order: Order, db: DB) -> str:
        return "old"

    def newer(order: Order, db: DB) -> str:
        return "new"

    newer.__name__ = "hello"

    async def scenario(site: Site):
        unit = await site.endpoint(hello)
        assert (await site.post({"id": 7})).json == "old"
        assert await unit.swap(site.spec(newer))
        assert (await site.post({"id": 7})).json == "new"
        assert diary == ["connect"]
        await unit.stop(drain=True, timeout_s=5)
        assert diary == ["connect", "close"]

    serve(scenario)


def test_without_a_request_it_is_said_what_to_do_instead():
    def hello(order: Order, user: User) -> str:
        return user.name

    async def scenario(site: Site):
        unit = await site.endpoint(hello)
        with pytest.raises(UsageError, match=r"takes the request itself.*app.override"):
            await unit.send({"id": 7})
        for edited in (False, True):
            with pytest.raises(UsageError, match=r"takes the request itself.*app.override"):
                await unit.retry(RetryInput({"id": 7}, edited))

    serve(scenario)


def test_a_websocket_is_not_given_by_a_request():
    from starlette.websockets import WebSocket

    @dependency(Scope.PROCESS)
    class Chat:
        def __init__(self, websocket: WebSocket):
            pass

    def hello(chat: Chat) -> str:
        return ""

    async def scenario(site: Site):
        with pytest.raises(DeclarationError, match='write method="WEBSOCKET"'):
            site.spec(hello, method="GET")

    serve(scenario)
