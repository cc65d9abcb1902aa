"""One element from a request to a table, across a queue and a topic, beside vendors' clients."""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from dataclasses import dataclass

import boto3
import duckdb
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.status.traces import Part
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from buildflow_nb.runtime.observability.logs import captured
from tests.io.gcp.vendor import PROJECT, PubSub

pytestmark = pytest.mark.emulator

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
PATIENCE_S = 30.0


@dataclass
class Order:
    id: int
    qty: int


@dataclass
class Priced:
    id: int
    total: float


class Shop:
    """A flow of a collector and two consumers, and the queues as boto3 sees them."""

    def __init__(self, folder):
        self.folder = folder
        ends = start_cloud(folder).endpoints
        self.sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ends["sqs"], **KEYS)
        self.urls = {
            name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("orders", "dead")
        }
        with PubSub(ends["pubsub"]) as pubsub:
            pubsub.make("priced")
        self.app = app = Flow("shop")

        @app.collector("/orders", method="POST", sink=SQSQueue("orders"))
        def take(order: Order) -> Order:
            return order

        @app.consumer(
            source=SQSQueue("orders"),
            sink=GCPPubSubTopic(PROJECT, "priced"),
            dead_letter=SQSQueue("dead"),
            retries=1,
        )
        def price(order: Order) -> Priced:
            logging.getLogger("shop").warning("pricing %s", order.id)
            if not order.qty:
                msg = "no quantity"
                raise ValueError(msg)
            return Priced(order.id, order.qty * 1.5)

        @app.consumer(
            source=GCPPubSubSubscription(PROJECT, "priced"),
            sink=DuckDBTable("shop.duckdb", "priced"),
        )
        def store(priced: Priced) -> Priced:
            return priced

        app.run(block=False, serve_port=0)

    def post(self, order, **headers):
        address = self.app.handle.address
        request = urllib.request.Request(  # noqa: S310
            f"{address}/orders",
            json.dumps(order).encode(),
            {"Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            assert answer.status == 200

    def send(self, text, **attributes):
        words = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
        self.sqs.send_message(
            QueueUrl=self.urls["orders"], MessageBody=text, MessageAttributes=words
        )

    def until(self, so):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if so():
                return
            time.sleep(0.02)
        raise AssertionError(self.app.traces())

    def stored(self):
        return self.app.snapshot().processor("store").elements_out

    def close(self):
        self.app.handle.stop(drain=False, timeout=1)
        self.sqs.close()
        stop_cloud(self.folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch, captured():
        patch.chdir(folder)
        made = Shop(folder)
        yield made
        made.close()


def test_one_trace_from_the_request_to_the_table(shop):
    before = shop.stored()
    shop.post({"id": 1, "qty": 3})
    shop.until(lambda: shop.stored() > before)
    trace = shop.app.trace("store")
    assert [step.processor_id for step in trace.steps] == ["take", "price", "store"]
    assert trace.came_in == Order(1, 3)
    assert trace.gave == (Priced(1, 4.5),)
    assert {step.span.fate.split(",")[0] for step in trace.steps} == {"written"}
    for step in trace.steps:
        assert {Part.CODE, Part.SINK} <= {span.part for span in step.parts}
    assert [line.text for line in trace.lines] == ["pricing 1"]
    by_id = {span.span_id: span for span in trace.spans}
    for step in trace.steps[1:]:
        assert by_id[step.span.parent_id].part is Part.SINK
    waits = [span for span in trace.spans if span.name == "in SQSQueue orders"]
    assert all(span.took_s > 0 for span in waits)
    parts = sum(span.took_s for step in trace.steps for span in step.parts)
    assert parts == pytest.approx(trace.took_s, abs=0.5 * trace.took_s)
    assert shop.app.trace(trace.trace_id[:6]).trace_id == trace.trace_id
    with duckdb.connect(str(shop.folder / "shop.duckdb")) as tables:
        assert tables.execute("SELECT id FROM priced").fetchall() == [(1,)]


def test_a_request_goes_on_with_the_trace_that_it_came_with(shop):
    parent = f"00-{TRACE}-{SPAN}-01"
    before = shop.stored()
    shop.post({"id": 2, "qty": 1}, traceparent=parent, tracestate="vendor=opaque")
    shop.until(lambda: shop.stored() > before)
    trace = shop.app.trace(TRACE)
    assert [step.processor_id for step in trace.steps] == ["take", "price", "store"]
    assert trace.steps[0].span.parent_id == SPAN


def test_a_failure_goes_on_into_the_dead_letter_queue(shop):
    other = TRACE.replace("4bf9", "5ca8")
    shop.send('{"id": 3, "qty": 0}', traceparent=f"00-{other}-{SPAN}-01", tracestate="v=1")
    shop.until(lambda: shop.app.failures("price"))
    failure = shop.app.failures("price")[-1]
    assert failure.trace_id == other
    trace = shop.app.trace(failure)
    assert [step.span.fate for step in trace.steps] == ["tried again", "dead-lettered"]
    assert trace.failed
    (letter,) = shop.sqs.receive_message(
        QueueUrl=shop.urls["dead"], MessageAttributeNames=["All"], WaitTimeSeconds=5
    )["Messages"]
    attributes = letter["MessageAttributes"]
    version, trace_id, span_id, flags = attributes["traceparent"]["StringValue"].split("-")
    assert (version, trace_id, flags) == ("00", other, "01")
    assert span_id in {span.span_id for span in trace.spans}
    assert attributes["tracestate"]["StringValue"] == "v=1"


@pytest.mark.parametrize(
    "attributes",
    [{}, {"traceparent": "hello"}, {"traceparent": f"ff-{TRACE}-{SPAN}-01", "tracestate": "x"}],
)
def test_messages_of_others_are_fine_as_they_are(shop, attributes):
    before = shop.stored()
    shop.send('{"id": 4, "qty": 1}', **attributes)
    shop.until(lambda: shop.stored() > before)


def test_traces_of_a_processor_are_listed_newest_last(shop):
    found = shop.app.traces("price", 100)
    starts = [trace.started_at for trace in found]
    assert starts == sorted(starts)
    failed = shop.app.traces("price", failed=True)
    assert {trace.fate for trace in failed} == {"dead-lettered"}


def test_the_profile_sums_to_a_hundred(shop):
    for name in ("take", "price", "store"):
        profile = shop.app.profile(name)
        assert sum(profile.shares.values()) == 100
        assert profile.elements > 0
        assert profile.pushes > 0
        assert name in profile.text()
