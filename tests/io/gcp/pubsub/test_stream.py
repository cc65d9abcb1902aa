"""One streaming pull, over a client that does as it is told."""

from __future__ import annotations

import asyncio

from google.pubsub_v1 import types
from grpc.aio import EOF

from buildflow_nb.core.errors import BuildFlowError, TemporaryError
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.pubsub import stream as module
from buildflow_nb.io.gcp.pubsub.stream import FlowControl, Stream
from tests.io.contract import run

CONTROL = FlowControl(60, 1000, 1 << 20, "me")


class FakeCall:
    """Gives these answers, and those `at_last` when its requests have ended; then EOF."""

    def __init__(self, *answers, at_last=(), ends=True):
        self.answers = list(answers)
        self.at_last = list(at_last)
        self.done_writing = asyncio.Event()
        if ends:
            self.done_writing.set()

    def cancel(self):
        pass


class FakeClient:
    """Opens these calls, one after the other."""

    name = "projects/p/subscriptions/s"
    target = Target("subscription", "s", "local")

    def __init__(self, *calls):
        self.calls = list(calls)
        self.requests = []

    async def open(self):
        pass

    async def stream(self, method, request, answer):
        self.requests.append(request)
        return self.calls.pop(0)

    async def read(self, call):
        if not call.answers:
            await call.done_writing.wait()
            call.answers, call.at_last = [*call.at_last, EOF], []
        answer = call.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def write(self, call, request):
        if request is None:
            call.done_writing.set()

    def refused(self, error):
        return error if isinstance(error, BuildFlowError) else TemporaryError(repr(error))


async def watched(client, until):
    """What a stream gives until something is so: answers, and why it failed."""
    received, failed = [], []
    stream = Stream(client, CONTROL, received.append, failed.append)
    while not until(received, failed):  # noqa: ASYNC110  (a turn of the loop, no time)
        await asyncio.sleep(0)
    return stream, received, failed


def test_what_comes_while_it_is_closed_is_received():
    async def go():
        client = FakeClient(FakeCall("one", at_last=["two", "three"], ends=False))
        stream, received, failed = await watched(client, lambda got, _: got)
        await stream.close()
        return stream.over, received, failed

    assert run(go()) == (True, ["one", "two", "three"], [])


def test_a_server_that_does_not_end_it_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(module, "LAST_S", 0.01)

    async def go():
        call = FakeCall("one", ends=False)
        client = FakeClient(call)
        client.write = lambda *_: asyncio.sleep(60)
        stream, received, failed = await watched(client, lambda got, _: got)
        await stream.close()
        return stream.over, received, failed

    assert run(go()) == (True, ["one"], [])


def test_one_that_has_worked_is_opened_again_and_nobody_hears_of_it(monkeypatch):
    monkeypatch.setattr(module, "STEADY_S", 0.0)

    async def go():
        first, second = FakeCall("one", ConnectionError("cut")), FakeCall("two", ends=False)
        client = FakeClient(first, second)
        stream, received, failed = await watched(client, lambda got, _: len(got) == 2)
        await stream.close()
        return received, failed, {request.client_id for request in client.requests}

    assert run(go()) == (["one", "two"], [], {"me"})


def test_one_that_fails_at_once_says_why():
    async def go():
        client = FakeClient(FakeCall(TemporaryError("missing")))
        _, _, failed = await watched(client, lambda _, why: why)
        return str(failed[0]), len(failed), len(client.requests)

    assert run(go()) == ("missing", 1, 1)


def test_one_that_is_ended_at_once_is_a_fault_too():
    async def go():
        _, _, failed = await watched(FakeClient(FakeCall()), lambda _, why: why)
        return str(failed[0])

    assert run(go()) == "subscription 's' ended the stream at once"


def test_how_it_is_opened():
    async def go():
        client = FakeClient(FakeCall("one", ends=False))
        stream, _, _ = await watched(client, lambda got, _: got)
        await stream.close()
        return client.requests

    (request,) = run(go())
    assert types.StreamingPullRequest.wrap(request) == types.StreamingPullRequest(
        subscription="projects/p/subscriptions/s",
        stream_ack_deadline_seconds=60,
        client_id="me",
        max_outstanding_messages=1000,
        max_outstanding_bytes=1 << 20,
    )


def test_a_quiet_stream_is_kept_open(monkeypatch):
    monkeypatch.setattr(module, "BEAT_S", 0.0)
    beats = []

    async def go():
        client = FakeClient(FakeCall(ends=False))

        async def write(call, request):
            beats.append(request)
            if request is None:
                call.done_writing.set()

        client.write = write
        stream, _, _ = await watched(client, lambda *_: len(beats) >= 3)
        await stream.close()

    run(go())
    assert {one.ByteSize() for one in beats[:3]} == {0}
