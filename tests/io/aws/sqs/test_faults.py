"""Queues on bad days: killed consumers, restarts, throttling, cut connections, poison."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter

import pytest

from buildflow_nb.core.errors import PartialPushError, PermanentError, TemporaryError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.aws import SQSQueue
from tests.faults.proxy import Cut, FaultProxy, Reply
from tests.io.aws.conftest import boto, env_of
from tests.io.aws.emulator import Emulator
from tests.io.contract import run
from tests.io.flows import running, soon_again, until

pytestmark = pytest.mark.emulator


def filled(sqs, name, count, **attributes):
    """The URL of a queue of so many messages."""
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    for start in range(0, count, 10):
        entries = [
            {"Id": str(i), "MessageBody": f"m{i}"} for i in range(start, min(start + 10, count))
        ]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    return url


def left(sqs, url):
    """Messages that are visible, and those that somebody has received."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(found[name]) for name in names)


def error(code, status=400):
    return Reply(
        status,
        json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "as planned"}).encode(),
        {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "0"},
    )


def every(number, fault, *targets):
    """A plan that gives every n-th call of these operations this fault."""
    counts = Counter()
    lock = threading.Lock()

    def plan(request):
        if request.target not in targets:
            return None
        with lock:
            counts[request.target] += 1
            return fault if counts[request.target] % number == 0 else None

    return plan


FAULTS = {
    "throttled": error("ThrottlingException"),
    "500": error("InternalFailure", 500),
    "cut": Cut(),
    "cut after": Cut(passed_on=True),
    "half an answer": Reply(200, b'{"Messages": [', {"Content-Type": "application/x-amz-json-1.0"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_service_lose_nothing(emulator, sqs, name, fault):
    url = filled(sqs, name, 40, VisibilityTimeout="1")
    calls = ("ReceiveMessage", "DeleteMessageBatch", "GetQueueUrl", "ChangeMessageVisibilityBatch")
    seen = Counter()
    with FaultProxy(emulator.port, every(3, FAULTS[fault], *calls)) as proxy:

        def note(text: str) -> None:
            seen[text] += 1

        with running(env_of(proxy.url), note, source=SQSQueue(name)):
            until(lambda: left(sqs, url) == (0, 0))
    assert len(seen) == 40


@pytest.mark.parametrize("fault", ["throttled", "500", "cut"])
def test_a_sink_survives_faults_and_sends_each_once(emulator, sqs, name, fault):
    filled(sqs, f"{name}-in", 50)
    url = filled(sqs, f"{name}-out", 0)
    with FaultProxy(emulator.port, every(2, FAULTS[fault], "SendMessageBatch")) as proxy:

        def same(text: str) -> str:
            return text

        words = {"source": SQSQueue(f"{name}-in"), "sink": SQSQueue(f"{name}-out")}
        with running(env_of(proxy.url), same, **words):
            until(lambda: left(sqs, url) == (50, 0))


KILLED = """
import sys, time
from buildflow_nb.io.aws import SQSQueue
from tests.io.aws.conftest import env_of
from tests.io.flows import running

def slow(text: str) -> None:
    print(text, flush=True)
    time.sleep(0.02)

with running(env_of(sys.argv[1]), slow, source=SQSQueue(sys.argv[2])):
    time.sleep(60)
"""


def test_a_killed_consumer_loses_nothing(emulator, env, sqs, name):
    url = filled(sqs, name, 60, VisibilityTimeout="1")
    command = [sys.executable, "-c", KILLED, emulator.url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
    assert all(first)
    seen = set()

    def note(text: str) -> None:
        seen.add(text)

    with running(env, note, source=SQSQueue(name)):
        until(lambda: left(sqs, url) == (0, 0))
    assert seen | set(first) == {f"m{i}" for i in range(60)}


def test_an_emulator_that_restarts_in_the_middle(tmp_path, name):
    with Emulator(tmp_path) as own, soon_again():
        sqs = boto("sqs", own.url)
        url = filled(sqs, name, 300, VisibilityTimeout="3")
        seen = Counter()
        halfway = threading.Event()

        def note(text: str) -> None:
            seen[text] += 1
            if len(seen) >= 100:
                halfway.wait(10)

        with running(env_of(own.url), note, source=SQSQueue(name)) as handle:
            until(lambda: len(seen) >= 100)
            own.stop()
            halfway.set()
            until(lambda: handle.snapshot().processors[0].state is State.WAITING)
            own.start()
            until(lambda: left(sqs, url) == (0, 0), 60)
            until(lambda: handle.snapshot().processors[0].state is State.RUNNING)
    assert set(seen) == {f"m{i}" for i in range(300)}


@pytest.fixture
def short_polls(monkeypatch):
    """Long polls of one second."""
    monkeypatch.setattr("buildflow_nb.io.aws.sqs.client.LONG_POLL_S", 1)


def test_a_missing_queue_is_waited_for_and_a_lost_one_too(env, sqs, name, short_polls):
    seen = []

    def note(text: str) -> None:
        seen.append(text)

    with running(env, note, source=SQSQueue(name)) as handle:
        missing = f"queue '{name}' does not exist in stack 'local' (run %buildflow apply)"
        until(lambda: handle.snapshot().processors[0].reason == missing)
        url = filled(sqs, name, 3)
        until(lambda: len(seen) == 3)
        sqs.delete_queue(QueueUrl=url)
        filled(sqs, name, 2)
        until(lambda: len(seen) == 5)


def test_an_element_may_take_longer_than_the_visibility_timeout(env, sqs, name):
    url = filled(sqs, name, 1, VisibilityTimeout="1")
    free = threading.Event()
    seen = []

    def slow(text: str) -> None:
        seen.append(text)
        free.wait(10)

    with running(env, slow, source=SQSQueue(name)):
        until(lambda: seen)
        watched = [left(sqs, url) for _ in range(25) if not free.wait(0.1)]
        free.set()
        until(lambda: left(sqs, url) == (0, 0))
    assert set(watched) == {(0, 1)}  # hidden all the time, for more than twice its timeout
    assert seen == ["m0"]


def test_a_poison_message_holds_nobody_up(env, sqs, name):
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    filled(sqs, name, 30)
    seen = []

    def fussy(number: str) -> None:
        if number == "m7":
            msg = "poison"
            raise ValueError(msg)
        seen.append(number)

    words = {"source": SQSQueue(name), "dead_letter": SQSQueue(f"{name}-dead"), "retries": 1}
    with running(env, fussy, **words) as handle:
        until(lambda: left(sqs, dead) == (1, 0))
        until(lambda: len(seen) == 29)
        until(handle.failures)  # it is recorded once the dead letter has been taken
        (failure,) = handle.failures()
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        until(lambda: left(sqs, url) == (0, 0))
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert json.loads(message["Body"])["error"] == "ValueError: poison"
    assert "poison" in failure.error


def test_stopping_is_at_once_and_hides_nothing(env, sqs, name):
    url = filled(sqs, name, 50, VisibilityTimeout="600")
    blocked = threading.Event()
    started = threading.Event()

    def stuck(_: str) -> None:
        started.set()
        blocked.wait(10)

    async def go():
        async with SQSQueue(name).source(env) as source:
            return await source.pull()

    with running(env, stuck, source=SQSQueue(name)) as handle:
        started.wait(10)
        threading.Timer(0.2, blocked.set).start()
        handle.stop(drain=True)
    finished = 50 - sum(left(sqs, url))
    assert finished >= 1
    assert left(sqs, url) == (50 - finished, 0)
    assert len(run(go()).items) >= 1


def test_what_a_call_brings_after_closing_is_shown_again(env, sqs, name):
    url = filled(sqs, name, 0, VisibilityTimeout="600")

    async def go():
        async with SQSQueue(name).source(env) as source:
            pull = asyncio.ensure_future(source.pull())
            await asyncio.sleep(0.3)  # the long poll is under way
            pull.cancel()
            await asyncio.gather(pull, return_exceptions=True)

    run(go())
    sqs.send_message(QueueUrl=url, MessageBody="late")
    until(lambda: left(sqs, url) == (1, 0))
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "late"


async def push_at_last(sink, items):
    """Push as the pipeline does: what failed for now again, in its order."""
    while items:
        try:
            await sink.push(items)
        except PartialPushError as partial:
            kinds = {type(error) for error in partial.failed.values()}
            items = [items[i] for i in partial.failed] if kinds == {TemporaryError} else []
        except TemporaryError:
            await asyncio.sleep(0)
        else:
            return


def test_the_order_of_a_fifo_queue_survives_throttling(emulator, sqs, name):
    queue = SQSQueue(f"{name}.fifo")
    url = sqs.create_queue(QueueName=queue.queue_name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    sent = [f"m{i}" for i in range(50)]
    plan = every(2, FAULTS["throttled"], "SendMessageBatch")
    with FaultProxy(emulator.port, plan) as proxy:

        async def go():
            async with queue.sink(env_of(proxy.url), None) as sink:
                await push_at_last(sink, sent)

        run(go())
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert found == sent


def test_entries_that_are_throttled_are_sent_again_and_others_not(emulator, sqs, name):
    url = filled(sqs, name, 0)
    once = []

    def plan(request):
        if request.target != "SendMessageBatch" or once:
            return None
        once.append(request)
        entries = json.loads(request.body)["Entries"]
        for entry in entries[:2]:
            sqs.send_message(QueueUrl=url, MessageBody=entry["MessageBody"])
        failed = [
            {"Id": "2", "SenderFault": False, "Code": "InternalError", "Message": "busy"},
            {"Id": "3", "SenderFault": True, "Code": "InvalidParameterValue", "Message": "no"},
        ]
        done = [{"Id": e["Id"], "MessageId": "x", "MD5OfMessageBody": "x"} for e in entries[:2]]
        body = json.dumps({"Successful": done, "Failed": failed}).encode()
        return Reply(200, body, {"Content-Type": "application/x-amz-json-1.0"})

    with FaultProxy(emulator.port, plan) as proxy:

        async def go():
            async with SQSQueue(name).sink(env_of(proxy.url), None) as sink:
                with pytest.raises(PartialPushError) as caught:
                    await sink.push(["a", "b", "c", "d"])
                return caught.value.failed

        failed = run(go())
    assert {i: type(e).__name__ for i, e in failed.items()} == {
        2: "TemporaryError",
        3: "RefusedError",
    }
    assert str(failed[2]) == "SQS cannot take it for now (InternalError: busy)"
    assert str(failed[3]) == "SQS refuses it (InvalidParameterValue: no)"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "denies access; allow the action sqs:GetQueueUrl"),
        ("InvalidClientTokenId", "refuses the AWS credentials; renew them"),
        ("UnsupportedOperation", "refuses sqs:GetQueueUrl (UnsupportedOperation: as planned)"),
    ],
)
def test_what_cannot_be_mended_by_waiting_stops(emulator, name, code, message):
    with FaultProxy(emulator.port, lambda _: error(code, 403)) as proxy:

        async def go():
            async with SQSQueue(name).source(env_of(proxy.url)) as source:
                with pytest.raises(PermanentError) as caught:
                    await source.pull()
                return str(caught.value)

        found = run(go())
    assert found.startswith(f"queue '{name}' {message}")


def test_an_idle_queue_costs_one_long_poll_at_a_time(emulator, sqs, name, short_polls):
    url = filled(sqs, name, 400)
    pause = threading.Event()

    def note(_: str) -> None:
        pass

    with (
        FaultProxy(emulator.port) as proxy,
        running(env_of(proxy.url), note, source=SQSQueue(name)),
    ):
        until(lambda: left(sqs, url) == (0, 0))
        pause.wait(1.3)  # the polls that found nothing have ended
        began = len(proxy.seen)
        pause.wait(2.5)
        polls = [r for r in proxy.seen[began:] if r.target == "ReceiveMessage"]
    busiest = max(Counter(r.target for r in proxy.seen[:began]).values())
    assert busiest >= 40
    assert 1 <= len(polls) <= 3
