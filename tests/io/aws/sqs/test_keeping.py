"""Queues whose leases are short, whose answers are slow, and whose messages always fail."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass

import pytest

from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from tests.faults.proxy import FaultProxy
from tests.io.aws.conftest import env_of
from tests.io.aws.sqs.test_faults import filled, left
from tests.io.contract import pulled, run
from tests.io.flows import running, until

pytestmark = pytest.mark.emulator

DRAINED_S = 60.0


@dataclass
class Order:
    id: int


def slow(seconds):
    """A plan that answers every call of a queue so much later."""

    def plan(_request):
        threading.Event().wait(seconds)

    return plan


@pytest.mark.parametrize("count", [10, 40])
def test_a_slow_queue_is_drained_when_all_has_come(emulator, sqs, name, count):
    url = filled(sqs, name, count)
    seen = Counter()

    def note(text: str) -> None:
        seen[text] += 1

    with (
        FaultProxy(emulator.port, slow(0.7)) as proxy,
        running(env_of(proxy.url), note, source=SQSQueue(name)) as handle,
    ):
        handle.wait_until(drained=True, timeout=DRAINED_S)
    assert len(seen) == count
    assert left(sqs, url) == (0, 0)


def test_what_another_consumer_hides_keeps_a_queue_from_being_drained(env, sqs, name):
    url = filled(sqs, name, 3, VisibilityTimeout="3")
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)  # by one that is killed then
    seen = []

    def note(text: str) -> None:
        seen.append(text)

    with running(env, note, source=SQSQueue(name)) as handle:
        handle.wait_until(drained=True, timeout=DRAINED_S)
    assert sorted(seen) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_a_lease_that_is_shorter_than_the_work_repeats_next_to_nothing(
    emulator, sqs, name, tmp_path, kind
):
    count = 2_000
    url = filled(sqs, name, 0, VisibilityTimeout="2")
    for start in range(0, count, 10):
        entries = [
            {"Id": str(i), "MessageBody": json.dumps({"id": i})} for i in range(start, start + 10)
        ]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    file = tmp_path / f"orders.{kind}"
    sink = DuckDBTable(file, "orders") if kind == "duckdb" else File(file)
    seen = Counter()

    def note(order: Order) -> Order:
        seen[order.id] += 1
        return order

    with (
        FaultProxy(emulator.port, slow(0.02)) as proxy,
        running(env_of(proxy.url), note, source=SQSQueue(name), sink=sink) as handle,
    ):
        handle.wait_until(drained=True, timeout=DRAINED_S)
    assert len(seen) == count
    assert seen.total() <= 1.01 * count
    assert left(sqs, url) == (0, 0)


def test_a_message_that_always_fails_comes_with_growing_pauses(env, sqs, name):
    filled(sqs, name, 1, VisibilityTimeout="600")
    seen = []

    def refuse(text: str) -> None:
        seen.append(text)
        raise ValueError(text)

    with running(env, refuse, source=SQSQueue(name), retries=0):
        threading.Event().wait(4.5)
    assert 2 <= len(seen) <= 3  # at once, after one second, after two more


def test_a_group_of_a_fifo_queue_keeps_its_order_while_one_waits(env, sqs, name):
    queue = SQSQueue(f"{name}.fifo")
    url = sqs.create_queue(QueueName=queue.queue_name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    for i in range(3):
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": str(i)}
        sqs.send_message(QueueUrl=url, MessageBody=f"m{i}", **ids)

    async def go():
        async with queue.source(env) as source:
            first = await source.pull()
            await source.settle(first.receipts[:1], ok=False)
            await source.release(first.receipts[1:])
            found = []
            while len(found) < len(first.items):
                batch = await source.pull()
                found += batch.items
                await source.settle(batch.receipts, ok=True)
            return list(first.items), found

    first, found = run(go())
    assert first == found == ["m0", "m1", "m2"]


STOPPED = """
import sys
from buildflow_nb.io.aws import SQSQueue
from tests.io.aws.conftest import env_of
from tests.io.flows import running

def note(text: str) -> None:
    pass

with running(env_of(sys.argv[1]), note, source=SQSQueue(sys.argv[2])) as handle:
    handle.wait_until(duration=float(sys.argv[3]))
"""


@pytest.mark.parametrize("idle_s", [0.5, 6.0])
def test_what_is_sent_after_a_stop_is_not_hidden(emulator, env, sqs, name, idle_s):
    url = filled(sqs, name, 0, VisibilityTimeout="600")
    command = [sys.executable, "-c", STOPPED, emulator.url, name, str(idle_s)]
    subprocess.run(command, check=True, timeout=60)
    sqs.send_message(QueueUrl=url, MessageBody="right after")
    threading.Event().wait(0.5)  # a call that was left behind would take it by now
    assert left(sqs, url) == (1, 0)
    assert pulled(SQSQueue(name), 1) == ["right after"]


def test_the_end_of_a_queue_is_known_soon_and_an_idle_one_costs_little(emulator, sqs, name):
    url = filled(sqs, name, 20)

    def note(_: str) -> None:
        pass

    with (
        FaultProxy(emulator.port) as proxy,
        running(env_of(proxy.url), note, source=SQSQueue(name)) as handle,
    ):
        handle.wait_until(drained=True, timeout=DRAINED_S)
        polls = [r for r in proxy.seen if r.target == "ReceiveMessage"]
        until(lambda: left(sqs, url) == (0, 0))
    waits = [json.loads(poll.body)["WaitTimeSeconds"] for poll in polls]
    assert max(waits) == 1
