"""An exported program that is asked to stop loses nothing, and goes on where it was."""

from __future__ import annotations

import json
import threading

import boto3
import duckdb
import pytest

from buildflow_nb.export.report import Import
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.export.programs import program, written
from tests.notebooks import proof
from tests.notebooks.exported import Program

pytestmark = pytest.mark.emulator

MESSAGES = 600
STEP_S = 60
TEXT = '''\
"""Orders from a queue, slowly."""

import time
from dataclasses import dataclass

from buildflow_nb import Flow
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable


@dataclass
class Order:
    id: int


app = Flow()
calls = open("calls.txt", "a", buffering=1)


@app.consumer(source=SQSQueue("orders"), sink=DuckDBTable("shop.duckdb", "orders"))
def order(order: Order) -> Order:
    calls.write(f"{order.id}\\n")
    time.sleep(0.01)
    return order


@app.collector("/orders", method="POST", sink=DuckDBTable("shop.duckdb", "posted"))
def post(order: Order) -> Order:
    calls.write("post\\n")
    time.sleep(1)
    return order
'''


@pytest.fixture
def shop(tmp_path):
    """The project, and a queue with messages in it."""
    made = program(
        TEXT, processors=("order", "post"), imports=(Import("buildflow_nb.io.aws", "cell [1]"),)
    )
    folder = written(tmp_path / "shop", made)
    queues = start_cloud(folder).endpoints["sqs"]
    client = boto3.client("sqs", region_name="us-east-1", endpoint_url=queues, **proof.KEYS)
    url = client.create_queue(QueueName="orders")["QueueUrl"]
    for first in range(0, MESSAGES, 10):
        entries = [
            {"Id": str(i), "MessageBody": json.dumps({"id": i})} for i in range(first, first + 10)
        ]
        client.send_message_batch(QueueUrl=url, Entries=entries)
    yield folder
    client.close()
    stop_cloud(folder)


def stored(folder, table):
    """The ids in a table."""
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        return [row[0] for row in connection.execute(f"SELECT id FROM {table}").fetchall()]


def calls(folder):
    path = folder / "calls.txt"
    return path.read_text().split() if path.exists() else []


def test_sigterm_in_mid_stream_loses_nothing_and_a_restart_does_the_rest(shop):
    answers = []

    def post(address):
        answers.extend(proof.ask(address, [("POST", "/orders", {"id": 1_000_000})]))

    with Program(shop) as running:
        asking = threading.Thread(target=post, args=(running.address,))
        running.until(lambda: len(calls(shop)) > 50, STEP_S)
        asking.start()
        running.until(lambda: "post" in calls(shop), STEP_S)
        assert running.stop() == 0, running.log
        asking.join(STEP_S)
        assert "draining" in running.log
    called, first = set(calls(shop)) - {"post"}, stored(shop, "orders")
    assert 0 < len(called) < MESSAGES, "it was to be stopped in the middle"
    assert {str(one) for one in first} == called, "what was worked on is in the table"
    assert len(first) == len(set(first))
    assert [status for status, *_ in answers] == [200]
    assert stored(shop, "posted") == [1_000_000]

    with Program(shop) as running:
        running.until(lambda: len(calls(shop)) >= MESSAGES + 1, STEP_S)
        assert running.stop() == 0, running.log
    assert sorted(stored(shop, "orders")) == list(range(MESSAGES))
