"""What a sink makes of a Storage Write that refuses, throttles, falls silent or breaks off."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager

import grpc
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import (
    DeniedError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.io.gcp.bigquery import BigQueryDataset, BigQueryTable, append
from buildflow_nb.io.gcp.bigquery.access import message
from buildflow_nb.io.gcp.bigquery.existing import Existing
from tests.io.contract import run
from tests.io.records import POINTS, Point

TABLE = BigQueryTable(BigQueryDataset("p", "shop"), "orders")
SILENCE, HANG_UP = "silence", "hang up"


class FakeStorage:
    """Answers appends by a plan: None (stored), a gRPC status, an in-band code, or no answer."""

    def __init__(self):
        self.plan = []
        self.stored = 0
        self.tokens = set()
        self.asked = asyncio.Event()

    async def append(self, requests, context):
        self.tokens.add(dict(context.invocation_metadata()).get("authorization"))
        async for _ in requests:
            self.asked.set()
            fault = self.plan.pop(0) if self.plan else None
            answer = message("AppendRowsResponse")()
            if isinstance(fault, grpc.StatusCode):
                await context.abort(fault, "said by\nthe server")
            elif fault == SILENCE:
                await asyncio.sleep(60)
            elif fault == HANG_UP:
                return
            elif fault is not None:
                answer.error.code, answer.error.message = fault, "said in band"
            else:
                self.stored += 1
                answer.append_result.SetInParent()
            yield answer


@asynccontextmanager
async def serving(fake):
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        fake.append,
        message("AppendRowsRequest").FromString,
        lambda answer: answer.SerializeToString(),
    )
    name = "google.cloud.bigquery.storage.v1.BigQueryWrite"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(name, {"AppendRows": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(0)


class Services:
    def __init__(self, port):
        self.port = port

    def wake(self, service):
        return f"http://127.0.0.1:{self.port}"

    def password(self, store):
        return Secret("hush")


@pytest.fixture(autouse=True)
def _no_table(monkeypatch):
    """The table is not looked at, as where that is not allowed."""
    monkeypatch.setattr(Existing, "of", classmethod(lambda cls, *_: cls(None)))


def pushed_with(plan, *, pushes=1, items=POINTS):
    """What the pushes raise, and how many appends were stored."""
    fake, errors = FakeStorage(), []
    fake.plan = list(plan)

    async def go():
        async with serving(fake) as port:
            env = Env(services=Services(port), cloud="local")
            async with TABLE.sink(env, Point) as opened:
                for _ in range(pushes):
                    try:
                        await opened.push(items)
                    except Exception as error:  # noqa: BLE001
                        errors.append(error)

    run(go())
    assert fake.tokens == {"Bearer hush"}
    assert "hush" not in str(errors)
    return errors, fake.stored


CODES = grpc.StatusCode


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (CODES.UNAVAILABLE, TemporaryError, "cannot be reached"),
        (CODES.RESOURCE_EXHAUSTED, TemporaryError, "asked too often"),
        (CODES.INTERNAL, TemporaryError, "cannot answer for now"),
        (CODES.ABORTED, TemporaryError, "cannot answer for now"),
        (CODES.NOT_FOUND, TemporaryError, "does not exist .*run %buildflow apply"),
        (CODES.PERMISSION_DENIED, DeniedError, "grant the role roles/bigquery.dataEditor"),
        (CODES.UNAUTHENTICATED, PermanentError, "refuses the credentials"),
        (CODES.INVALID_ARGUMENT, PermanentError, "refuses the request"),
        (8, TemporaryError, "cannot answer for now .said in band"),
        (10, TemporaryError, "cannot answer for now .said in band"),
        (7, PermanentError, "refuses the rows .said in band"),
        (HANG_UP, TemporaryError, "the call was ended"),
    ],
)
def test_a_fault_is_told_and_the_next_push_works(fault, kind, said):
    errors, stored = pushed_with([fault], pushes=2)
    assert len(errors) == 1
    assert type(errors[0]) in (kind, append.StreamGoneError)
    assert isinstance(errors[0], kind)
    assert re.search(said, str(errors[0]))
    assert "\n" not in str(errors[0])
    assert stored == 1


def test_silence_has_an_end(monkeypatch):
    monkeypatch.setattr(append, "CALL_S", 0.2)
    (error,), stored = pushed_with([SILENCE], pushes=2)
    assert isinstance(error, TemporaryError)
    assert "no answer within 0.2 s" in str(error)
    assert stored == 1


def test_rows_of_which_nobody_says_which_is_at_fault_are_narrowed_down():
    points = [Point(i, "x") for i in range(4)]
    invalid = 3
    # Of four: refused; the first two are stored; the last two refused; the third stored.
    (error,), stored = pushed_with([invalid, None, invalid, None, invalid], items=points)
    assert isinstance(error, PartialPushError)
    assert list(error.failed) == [3]
    assert "said in band" in str(error.failed[3])
    assert stored == 2


def test_pushes_take_turns_and_keep_their_order():
    fake = FakeStorage()

    async def go():
        async with serving(fake) as port:
            env = Env(services=Services(port), cloud="local")
            async with TABLE.sink(env, Point) as opened:
                await asyncio.gather(*(opened.push(POINTS) for _ in range(20)))

    run(go())
    assert fake.stored == 20


def test_a_push_that_is_cancelled_goes_on_to_its_end():
    fake = FakeStorage()

    async def go():
        async with serving(fake) as port:
            env = Env(services=Services(port), cloud="local")
            async with TABLE.sink(env, Point) as opened:
                task = asyncio.create_task(opened.push(POINTS))
                await fake.asked.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(go())
    assert fake.stored == 1
