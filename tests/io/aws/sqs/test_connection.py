"""Calls on the wire: what boto3's client would send, and what it would raise."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import threading
from contextlib import asynccontextmanager
from itertools import product

import botocore.auth
import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.httpsession import get_cert_path

from buildflow_nb.core.credentials import AWSCredentials, Secret
from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.aws import clients
from buildflow_nb.io.aws.clients import Access, access
from buildflow_nb.io.aws.errors import Target
from buildflow_nb.io.aws.sqs import connection
from buildflow_nb.io.aws.sqs.connection import Connection
from buildflow_nb.io.aws.sqs.signature import Signer
from tests.io.aws.conftest import env_of
from tests.io.aws.emulator import free_port
from tests.io.contract import run

KEYS = Credentials("AKIA", "secret")
HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amzn-query-mode": "true"}
NOW = dt.datetime(2026, 11, 30, 23, 59, 58)
URLS = [
    "https://sqs.eu-west-1.amazonaws.com/",
    "https://sqs.eu-west-1.amazonaws.com:443/",
    "http://127.0.0.1:4566/",
    "http://localhost:80/",
    "http://[::1]:4566/",
    "https://host/a path/~b/",
]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Second tries at once."""
    monkeypatch.setattr(connection, "RETRY_S", 0.0)


@pytest.mark.parametrize(("url", "token"), list(product(URLS, [None, "a token="])))
def test_the_signature_is_botocores(url, token, monkeypatch):
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: NOW)
    signer = Signer("sqs", "eu-west-1", url, HEADERS, NOW.replace(tzinfo=dt.UTC).timestamp)
    for body, keys in product((b"{}", '{"a": "ü"}'.encode()), ("secret", "other")):
        frozen = Credentials("AKIA", keys, token).get_frozen_credentials()
        words = {**HEADERS, "x-amz-target": "AmazonSQS.SendMessage"}
        theirs = AWSRequest("POST", url, headers=words, data=body)
        SigV4Auth(frozen, "sqs", "eu-west-1").add_auth(theirs)
        ours = signer.headers(frozen, "AmazonSQS.SendMessage", body)
        assert ours == {name.lower(): value for name, value in theirs.headers.items()}


def test_the_key_of_a_signature_is_that_of_the_day(monkeypatch):
    times = [NOW, NOW + dt.timedelta(seconds=2)]
    moments = iter(times)
    signer = Signer(
        "sqs", "r", "http://h/", {}, lambda: next(moments).replace(tzinfo=dt.UTC).timestamp()
    )
    for moment in times:
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda _at=moment, **_: _at)
        theirs = AWSRequest("POST", "http://h/", headers={"x-amz-target": "t"}, data=b"")
        SigV4Auth(KEYS.get_frozen_credentials(), "sqs", "r").add_auth(theirs)
        ours = signer.headers(KEYS.get_frozen_credentials(), "t", b"")
        assert ours["authorization"] == theirs.headers["Authorization"]


@asynccontextmanager
async def serving(*answers):
    """A server that gives these answers, one after the other; what it was asked."""
    seen: list[web.BaseRequest] = []
    left = list(answers)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        seen.append(request)
        return await left.pop(0)(request) if left else web.json_response({})

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1], seen
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(port, credentials=KEYS, **words):
    made = Connection(Access("sqs", f"http://127.0.0.1:{port}", "eu-west-1", credentials, **words))
    try:
        yield made
    finally:
        await made.close()


def replied(status, content, kind="application/x-amz-json-1.0", **headers):
    async def answer(_):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return web.Response(status=status, body=body, headers={"Content-Type": kind, **headers})

    return answer


async def cut(request):
    request.transport.close()
    return web.Response()


async def never(_):
    await asyncio.sleep(60)
    return web.Response()


def refused(code, status=400, **headers):
    return replied(status, {"__type": f"com.amazonaws.sqs#{code}", "message": "said"}, **headers)


def test_a_call_is_one_request():
    async def go():
        answer = replied(200, {"Messages": [{"Body": "ü"}]})
        async with serving(answer) as (port, seen), connected(port) as made:
            found = await made.call("ReceiveMessage", {"QueueUrl": "u", "WaitTimeSeconds": 1})
        (request,) = seen
        return found, request.headers, await request.json()

    found, headers, body = run(go())
    assert found == {"Messages": [{"Body": "ü"}]}
    assert body == {"QueueUrl": "u", "WaitTimeSeconds": 1}
    assert headers["X-Amz-Target"] == "AmazonSQS.ReceiveMessage"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA/")
    assert headers["Accept-Encoding"] == "identity"


PASSING = {
    "throttled": refused("RequestThrottled"),
    "500": refused("InternalFailure", 500),
    "503 of a proxy": replied(503, b"<html>busy</html>", "text/html"),
    "cut": cut,
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_twice(fault):
    async def go(times):
        answers = [PASSING[fault]] * times
        async with serving(*answers) as (port, seen), connected(port) as made:
            with Target("queue", "q", "local").faults("sqs:ReceiveMessage"):
                found = await made.call("ReceiveMessage", {})
        return found, len(seen)

    assert run(go(1)) == ({}, 2)
    with pytest.raises(TemporaryError, match=r"queue 'q' (is asked too often|cannot)"):
        run(go(2))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused("AccessDeniedException", 403), "denies access; allow the action sqs:Rec"),
        (refused("InvalidClientTokenId", 403), "refuses the AWS credentials; renew them"),
        (replied(302, b"", Location="http://127.0.0.1/"), "refuses sqs:ReceiveMessage"),
    ],
)
def test_what_does_not_pass_is_tried_once(answer, words):
    async def go():
        async with serving(answer) as (port, seen), connected(port) as made:
            with (
                pytest.raises(PermanentError, match=words),
                Target("queue", "q", "local").faults("sqs:ReceiveMessage"),
            ):
                await made.call("ReceiveMessage", {})
            return len(seen)

    assert run(go()) == 1


def test_codes_are_those_that_sqs_has_always_had():
    async def go():
        code = "AWS.SimpleQueueService.NonExistentQueue;Sender"
        answer = refused("QueueDoesNotExist", **{"x-amzn-query-error": code})
        async with serving(answer) as (port, _), connected(port) as made:
            with pytest.raises(
                Exception, match=r"AWS\.SimpleQueueService\.NonExistentQueue"
            ) as told:
                await made.call("GetQueueUrl", {})
            return told.value.response["ResponseMetadata"]["HTTPStatusCode"]

    assert run(go()) == 400


@pytest.mark.parametrize("content", [b'{"Messages": [', b"[]", b""])
def test_half_an_answer_is_a_fault_that_passes(content):
    async def go():
        async with serving(replied(200, content)) as (port, _), connected(port) as made:
            with Target("queue", "q", "local").faults("sqs:ReceiveMessage"):
                await made.call("ReceiveMessage", {})

    with pytest.raises(TemporaryError, match="queue 'q' cannot be reached: the answer to Receive"):
        run(go())


def test_a_server_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(connection, "READ_S", 0.05)

    async def go():
        async with serving(never, never) as (port, _), connected(port) as made:
            with Target("queue", "q", "local").faults("sqs:ReceiveMessage"):
                await made.call("ReceiveMessage", {})

    with pytest.raises(TemporaryError, match="cannot be reached: Read timeout on endpoint URL"):
        run(go())


def test_nobody_there():
    async def go():
        async with connected(free_port()) as made:
            with Target("queue", "q", "local").faults("sqs:ReceiveMessage"):
                await made.call("ReceiveMessage", {})

    with pytest.raises(TemporaryError, match="reached: Could not connect to the endpoint URL"):
        run(go())


def test_keys_that_end_are_renewed_beside_the_loop():
    threads = []

    def renewed():
        threads.append(threading.current_thread())
        return {
            "access_key": f"AKIA{len(threads)}",
            "secret_key": "s",
            "token": "t",
            "expiry_time": (dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)).isoformat(),
        }

    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    keys = RefreshableCredentials("old", "s", "t", soon, renewed, "test")

    async def go():
        async with serving() as (port, seen), connected(port, keys) as made:
            for _ in range(2):
                await made.call("ReceiveMessage", {})
            return [request.headers["Authorization"][:37] for request in seen]

    assert run(go()) == ["AWS4-HMAC-SHA256 Credential=AKIA1/202"] * 2
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.fixture
def fresh(monkeypatch):
    """Nothing that other tests have made, and no variables but those of the test."""
    monkeypatch.setattr(clients, "_clients", {})
    monkeypatch.setattr(clients, "_sessions", {})
    for word in ("AWS_PROFILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(word, raising=False)
        monkeypatch.delenv(word.lower(), raising=False)


def test_a_request_takes_the_proxy_of_the_environment(fresh, monkeypatch):
    async def go():
        async with serving() as (port, seen):
            monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}")
            found = access(env_of("http://queues.test"), "sqs", None)
            made = Connection(found)
            await made.call("ReceiveMessage", {})
            await made.close()
            monkeypatch.setenv("no_proxy", "queues.test")
            return seen[0].headers["Host"], access(env_of("http://queues.test"), "sqs", None).proxy

    assert run(go()) == ("queues.test", None)


def test_a_proxy_that_is_not_there_is_named_without_its_password():
    async def go():
        proxy = f"http://me:hush@127.0.0.1:{free_port()}"
        async with connected(1, proxy=proxy) as made:
            with Target("queue", "q", "local").faults("sqs:ReceiveMessage"):
                await made.call("ReceiveMessage", {})

    with pytest.raises(TemporaryError, match="cannot be reached: Failed to connect to proxy") as e:
        run(go())
    assert "hush" not in str(e.value)


def test_certificates_are_those_of_the_environment(fresh, monkeypatch, tmp_path):
    keys = AWSCredentials(Secret("AKIA"), Secret("s"))
    env = Env(aws=keys, aws_region="eu-west-1")
    assert isinstance(access(env, "sqs", None).tls, ssl.SSLContext)
    bundle = tmp_path / "own.pem"
    bundle.write_bytes(b"")
    monkeypatch.setattr(clients, "_sessions", {})
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with pytest.raises(ssl.SSLError):  # it is read, and holds none
        access(env, "sqs", None)
    with open(get_cert_path(True), "rb") as usual:  # noqa: PTH123
        bundle.write_bytes(usual.read())
    assert access(env, "sqs", None).endpoint == "https://sqs.eu-west-1.amazonaws.com"


def test_an_access_tells_no_secret():
    found = Access("sqs", "http://h", "r", Credentials("AKIA", "hush"), "http://a:hush@p")
    assert "hush" not in repr(found)
