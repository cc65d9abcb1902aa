"""Receive calls of the local cloud's queues end with their clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading

import pytest

from buildflow_nb.local_cloud.client import start_cloud
from buildflow_nb.local_cloud.ministack import RECEIVE, Receiving
from tests.local_cloud.running import project, sqs

__all__ = ("project",)  # a fixture

LOOK_S = 0.5  # a waiting call of ministack looks ten times a second
HEADERS = [(b"x-amz-target", RECEIVE)]


class Client:
    """One request, in pieces, and what becomes of it."""

    def __init__(self, *pieces, headers=HEADERS):
        self.scope = {"type": "http", "path": "/", "headers": headers}
        self.events = asyncio.Queue()
        for i, piece in enumerate(pieces):
            more = i + 1 < len(pieces)
            self.events.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        self.answers = []

    def leave(self):
        self.events.put_nowait({"type": "http.disconnect"})

    async def send(self, event):
        self.answers.append(event)


class App:
    """Reads a body, waits until it may go on, and answers with it."""

    def __init__(self):
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended = ""

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended = "given up"
            raise
        await send({"body": body})
        self.ended = "answered"


def run(coroutine):
    async def within():
        return await asyncio.wait_for(coroutine, 20)

    return asyncio.run(within())


async def served(client, *, leaves=False, goes_on=False):
    app = App()
    serving = asyncio.ensure_future(Receiving(app)(client.scope, client.events.get, client.send))
    await app.began.wait()
    if leaves:
        client.leave()
    if goes_on:
        app.go_on.set()
    await serving
    return app.ended, client.answers


def test_a_receive_call_is_given_up_when_its_client_is_gone():
    async def go():
        return await served(Client(b"{", b"}"), leaves=True)

    assert run(go()) == ("given up", [])


def test_a_receive_call_is_answered_while_its_client_waits():
    async def go():
        return await served(Client(b"{", b"}"), goes_on=True)

    assert run(go()) == ("answered", [{"body": b"{}"}])


def test_other_calls_are_finished_although_their_clients_are_gone():
    async def go():
        return await served(Client(b"x", headers=[]), leaves=True, goes_on=True)

    assert run(go()) == ("answered", [{"body": b"x"}])


def test_a_client_that_leaves_in_the_middle_of_its_request():
    async def go():
        client = Client()
        client.events.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        client.leave()
        app = App()
        app.go_on.set()
        await Receiving(app)(client.scope, client.events.get, client.send)
        return app.ended

    assert run(go()) == "answered"


def test_what_an_application_raises_is_raised():
    async def broken(scope, receive, send):
        await receive()
        msg = "broken"
        raise LookupError(msg)

    async def go():
        client = Client(b"")
        with pytest.raises(LookupError, match="broken"):
            await Receiving(broken)(client.scope, client.events.get, client.send)

    run(go())


@pytest.mark.emulator
def test_a_message_that_is_sent_after_its_last_reader_has_gone_is_not_hidden(project):
    record = start_cloud(project)
    queue = sqs(record)
    url = queue.create_queue(QueueName="orders")["QueueUrl"]
    place = record.endpoints["sqs"].removeprefix("http://")
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20})
    gone = http.client.HTTPConnection(place)
    credential = "000000000000/20260101/us-east-1/sqs/aws4_request"
    headers = {
        "X-Amz-Target": RECEIVE.decode(),
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, Signature=0",
    }
    gone.request("POST", "/", body, headers)
    queue.get_queue_attributes(QueueUrl=url)  # by now the call waits
    gone.close()
    queue.get_queue_attributes(QueueUrl=url)
    queue.send_message(QueueUrl=url, MessageBody="hello")
    threading.Event().wait(LOOK_S)
    found = queue.receive_message(QueueUrl=url, WaitTimeSeconds=5)
    assert [message["Body"] for message in found["Messages"]] == ["hello"]
