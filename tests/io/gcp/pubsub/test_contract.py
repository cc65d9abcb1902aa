"""What every source and sink keeps, for Pub/Sub, with Google's clients on the other side."""

import re
from typing import ClassVar

import pytest

from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.types.gcp import PubsubMessage
from tests.io.contract import ConfigContract, SinkContract
from tests.io.contract_endless import EndlessSourceContract
from tests.io.gcp.vendor import PROJECT

pytestmark = pytest.mark.emulator

DATA = [f"message {i} ü 数 🦆".encode() for i in range(8)]


@pytest.fixture(autouse=True)
def _here(env, pubsub, request):
    if request.instance is not None:
        request.instance.pubsub = pubsub


def name_of(folder):
    """One topic with one subscription for each test."""
    return "t" + re.sub("[^A-Za-z0-9]", "-", str(folder))[-70:]


class TestSource(EndlessSourceContract):
    words: ClassVar = {}
    published: ClassVar = DATA
    expected: ClassVar = DATA

    def make(self, folder):
        return GCPPubSubSubscription(PROJECT, name_of(folder))

    def prepare(self, folder):
        name = name_of(folder)
        if self.pubsub.topic(name) not in {
            topic.name for topic in self.pubsub.publisher.list_topics(project=f"projects/{PROJECT}")
        }:
            self.pubsub.make(name, **self.words)
        self.pubsub.publish(name, self.published)
        return self.make(folder)

    def send_traced(self, primitive, text, attributes):
        """As anybody's client does."""
        message = {"data": text.encode(), "attributes": attributes}
        self.pubsub.publish(primitive.subscription_name, [message])


class TestExactlyOnceSource(TestSource):
    words: ClassVar = {"enable_exactly_once_delivery": True}


class TestConfigWithTheStacksProject(ConfigContract):
    def make(self, folder):
        return GCPPubSubSubscription(None, name_of(folder), topic=GCPPubSubTopic(None, "orders"))


class Anything(str):
    """Equal to every text: Pub/Sub chooses ids as it likes."""

    def __eq__(self, other):
        return isinstance(other, str) and other != ""

    def __hash__(self):
        return 0

    def __repr__(self):
        return "an id"


class TestSourceOfMessages(TestSource):
    published: ClassVar = [
        {"data": data, "attributes": {"ü": str(i)}} for i, data in enumerate(DATA)
    ]
    expected: ClassVar = [
        PubsubMessage(data, {"ü": str(i)}, Anything(), "", Anything())
        for i, data in enumerate(DATA)
    ]

    def make(self, folder):
        return GCPPubSubSubscription(PROJECT, name_of(folder)).options(include_attributes=True)


class TestSink(SinkContract):
    samples = DATA[:4]
    bad = b""
    carries_traces = True

    def make(self, folder):
        name = name_of(folder)
        known = self.pubsub.publisher.list_topics(project=f"projects/{PROJECT}")
        if self.pubsub.topic(name) not in {topic.name for topic in known}:
            self.pubsub.make(name)
        return GCPPubSubTopic(PROJECT, name)

    def read_traces(self, folder):
        found = [dict(message.attributes) for message in self.pubsub.left(name_of(folder))]
        assert [one["tracestate"] for one in found if one] == ["vendor=1"] * 2
        return [one.get("traceparent") for one in found]

    def read(self, folder):
        return [message.data for message in self.pubsub.left(name_of(folder))]
