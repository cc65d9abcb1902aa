"""What every source and sink keeps, for queues, with boto3 on the other side."""

import asyncio
import re
import uuid

import pytest

from buildflow_nb.core.portable import placed
from buildflow_nb.core.primitive import Env
from buildflow_nb.io import portable
from buildflow_nb.io.aws import SQSQueue
from tests.io import driving
from tests.io.contract import SinkContract, run
from tests.io.contract_endless import EndlessSourceContract
from tests.io.contract_sharing import SharingContract

pytestmark = pytest.mark.emulator

TEXTS = [f"message {i} ü 数 🦆" for i in range(8)]


@pytest.fixture(autouse=True)
def _here(env, sqs, request):
    if request.instance is not None:
        request.instance.sqs = sqs


def queue_name(folder):
    """One queue for each test."""
    return re.sub("[^A-Za-z0-9]", "-", str(folder))[-70:]


def made(sqs, name):
    fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    return sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]


class Queue:
    def make(self, folder):
        return SQSQueue(queue_name(folder))


class TestSource(Queue, EndlessSourceContract):
    expected = TEXTS

    def prepare(self, folder):
        primitive = self.make(folder)
        url = made(self.sqs, primitive.queue_name)
        for text in self.expected:
            ids = {"MessageGroupId": "g", "MessageDeduplicationId": uuid.uuid4().hex}
            self.sqs.send_message(QueueUrl=url, MessageBody=text, **(ids if primitive.fifo else {}))
        return primitive

    def send_traced(self, primitive, text, attributes):
        """As anybody's boto3 does."""
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": uuid.uuid4().hex}
        self.sqs.send_message(
            QueueUrl=made(self.sqs, primitive.queue_name),
            MessageBody=text,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
            **(ids if primitive.fifo else {}),
        )

    def test_attributes_of_another_kind_are_no_trace(self, tmp_path):
        primitive = self.prepare(tmp_path)
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": uuid.uuid4().hex}
        self.sqs.send_message(
            QueueUrl=made(self.sqs, primitive.queue_name),
            MessageBody="odd",
            MessageAttributes={
                "traceparent": {"DataType": "Binary", "BinaryValue": b"\xff\x00"},
                "tracestate": {"DataType": "Number", "StringValue": "7"},
            },
            **(ids if primitive.fifo else {}),
        )
        assert self._contexts(self._all_of(primitive, len(self.expected) + 1)) == {}


class TestFifoSource(TestSource):
    def make(self, folder):
        return SQSQueue(f"{queue_name(folder)}.fifo")


class TestPortableSource(SharingContract):
    expected = TEXTS
    prepare = TestSource.prepare

    def make(self, folder):
        return placed(portable.Queue(queue_name(folder)), Env(provider="aws"), "source")[0]


class TestSink(Queue, SinkContract):
    samples = TEXTS[:4]
    bad = ""
    carries_traces = True

    def make(self, folder):
        primitive = SQSQueue(queue_name(folder))
        made(self.sqs, primitive.queue_name)
        return primitive

    def read(self, folder):
        return [m["Body"] for m in self.messages(folder)]

    def read_traces(self, folder):
        found = [m.get("MessageAttributes", {}) for m in self.messages(folder)]
        states = [one["tracestate"]["StringValue"] for one in found if one]
        assert states == ["vendor=1"] * len(states)
        return [one["traceparent"]["StringValue"] if one else None for one in found]

    def messages(self, folder):
        """All that is in the queue, and stays."""
        url = self.sqs.get_queue_url(QueueName=self.make(folder).queue_name)["QueueUrl"]
        found = []
        while messages := self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=60,
            MessageAttributeNames=["All"],
        ).get("Messages"):
            found += messages
        for start in range(0, len(found), 10):
            entries = [
                {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0}
                for i, m in enumerate(found[start : start + 10])
            ]
            self.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        return found


class TestFifoSink(TestSink):
    def make(self, folder):
        primitive = SQSQueue(f"{queue_name(folder)}.fifo")
        made(self.sqs, primitive.queue_name)
        return primitive

    def expect(self, items):
        """A FIFO queue takes equal messages for one."""
        return list(dict.fromkeys(items))

    def test_concurrent_pushes_stay_whole(self, tmp_path):
        primitive = self.make(tmp_path)
        env = driving.Env()

        async def go():
            async with primitive.sink(env, None) as one, primitive.sink(env, None) as two:
                await asyncio.gather(*(sink.push(self.samples) for sink in (one, two)))

        run(go())
        assert sorted(self.read(tmp_path)) == sorted(self.samples)
