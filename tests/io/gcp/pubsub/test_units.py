"""Acknowledgements, errors and credentials, each alone."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from buildflow_nb.core.config import CloudProvider
from buildflow_nb.core.credentials import GCPCredentials, Secret
from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Wire
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    PubSubSubscription,
    PubSubTopic,
)
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.pubsub.acks import DETAILS, Acks
from buildflow_nb.io.gcp.pubsub.client import Address, PubSubClient, pubsub_address
from tests.io.contract import run
from tests.io.gcp.vendor import PROJECT

CODES = grpc.StatusCode


class FakeClient:
    """Answers calls with what is planned, and notes their ids."""

    name = "projects/p/subscriptions/s"
    target = Target("subscription", "s", "local")

    def __init__(self, *faults):
        self.faults = list(faults)
        self.seen = []

    async def call(self, method, request, answer, deadline_s):
        self.seen.append((method, list(request.ack_ids)))
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault

    def refused(self, error):
        return self.target.refused(error, "roles/pubsub.subscriber")


def rpc_error(code, named=None, details="as planned"):
    trailers = []
    if named is not None:
        info = error_details_pb2.ErrorInfo(reason="X", metadata=named)
        packed = any_pb2.Any()
        packed.Pack(info)
        status = status_pb2.Status(details=[packed])
        trailers = [(DETAILS, status.SerializeToString())]
    return AioRpcError(code, Metadata(), Metadata(*trailers), details)


def test_ids_that_an_error_names_are_told_apart():
    named = {
        "again": "TRANSIENT_FAILURE_UNORDERED_ACK_ID",
        "late": "PERMANENT_FAILURE_INVALID_ACK_ID",
        "unrelated": "something",
    }
    client = FakeClient(rpc_error(CODES.FAILED_PRECONDITION, named))
    told = run(Acks(client).acknowledge(["again", "late", "done"]))
    assert list(told.again) == ["again"]
    assert isinstance(told.again["again"], TemporaryError)
    assert told.gone == {"late"}


@pytest.mark.parametrize("code", [CODES.UNAVAILABLE, CODES.DEADLINE_EXCEEDED, CODES.ABORTED])
def test_a_call_that_fails_may_be_made_again_for_all(code):
    told = run(Acks(FakeClient(rpc_error(code))).lease(["a", "b"], 10))
    assert list(told.again) == ["a", "b"]
    assert not told.gone


def test_calls_are_small_enough_and_fail_apart():
    ids = [f"{i:0200d}" for i in range(5000)]
    client = FakeClient(None, rpc_error(CODES.UNAVAILABLE))
    told = run(Acks(client).acknowledge(ids))
    sizes = [len(some) for _, some in client.seen]
    assert sum(sizes) == 5000
    assert all(size * 204 < 500_000 for size in sizes)
    assert list(told.again) == client.seen[1][1]


class FakeStream:
    """A stream whose answer never comes, or that is cancelled with its channel."""

    def __init__(self, *, cut):
        self.cut = cut

    async def read(self):
        if self.cut:
            raise asyncio.CancelledError
        await asyncio.Event().wait()


def test_a_call_that_ends_with_its_channel_is_no_cancelled_caller():
    async def go():
        client = PubSubClient(
            lambda: Address("nowhere"), FakeClient.target, "subscription", "s", "r"
        )
        with pytest.raises(TemporaryError, match="'s' cannot be reached: the connection was cl"):
            await client.read(FakeStream(cut=True))
        caller = asyncio.create_task(client.read(FakeStream(cut=False)))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    run(go())


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (api.Unauthorized("no"), PermanentError, "refuses the credentials of Google Cloud; renew"),
        (api.Forbidden("no"), PermanentError, "denies access; grant the role roles/x ("),
        (api.BadRequest("odd"), PermanentError, "refuses the request (INVALID_ARGUMENT: "),
        (api.BadGateway("no"), TemporaryError, "cannot be reached (UNAVAILABLE: "),
        (api.RetryError("late", api.TooManyRequests("no")), TemporaryError, "is asked too often"),
        (api.RetryError("late", OSError("cut")), TemporaryError, "cannot be reached: cut"),
        (ConnectionError("cut"), TemporaryError, "cannot be reached: cut"),
        (auth.TransportError("dns"), TemporaryError, "cannot be reached: dns"),
        (auth.RefreshError("", retryable=True), TemporaryError, "cannot be reached: "),
        (auth.RefreshError("revoked"), PermanentError, "refuses the credentials of Google Cloud"),
        (auth.DefaultCredentialsError("none"), PermanentError, "cannot be used without cred"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_errors_over_http_mean(error, kind, message):
    with pytest.raises(kind) as caught, Target("bucket", "inbox", "local").faults("roles/x"):
        raise error
    assert str(caught.value).startswith(f"bucket 'inbox' {message}")
    assert caught.value.__cause__ is error


KEY = "-----BEGIN PRIVATE KEY-----"


@pytest.mark.parametrize("text", [KEY, json.dumps({"private_key": KEY}), "[]", "7"])
def test_a_key_that_is_none_is_told_without_showing_it(text):
    env = Env(gcp=GCPCredentials(Secret(text)))
    with pytest.raises(
        PermanentError, match="is not the JSON of a service account's key"
    ) as caught:
        pubsub_address(env)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_missing_credentials_stop_the_processor(monkeypatch):
    def none(**_):
        msg = "none"
        raise auth.DefaultCredentialsError(msg)

    monkeypatch.setattr("google.auth.default", none)

    async def go():
        async with GCPPubSubSubscription(PROJECT, "orders").source(Env()) as source:
            await source.pull()

    with pytest.raises(PermanentError, match="subscription 'orders' cannot be used without cred"):
        run(go())


def test_a_real_cloud_is_spoken_to_with_credentials(monkeypatch):
    class Nobody:
        pass

    monkeypatch.setattr("google.auth.default", lambda **_: (Nobody(), "p"))
    monkeypatch.setattr("buildflow_nb.io.gcp.clients._credentials", {})
    found = pubsub_address(Env())
    assert found.target == "pubsub.googleapis.com:443"
    assert isinstance(found.credentials, Nobody)
    assert pubsub_address(Env(endpoints={"pubsub": "http://127.0.0.1:7/"})).credentials is None


def test_names_of_the_documents():
    assert PubSubTopic is GCPPubSubTopic
    assert PubSubSubscription is GCPPubSubSubscription


def test_configuration_of_a_topic():
    topic = GCPPubSubTopic("p-1", "orders")
    assert topic.topic_id == "projects/p-1/topics/orders"
    assert (topic.primitive_id, topic.label) == ("p-1/orders", "orders")
    assert topic.sink_wire is Wire.BYTES
    with pytest.raises(DeclarationError, match="'orders': no Google Cloud project is known; give"):
        _ = GCPPubSubTopic(None, "orders").topic_id


@pytest.mark.parametrize("name", ["ab", "0rders", "goog-orders", "a b", "x" * 256, ""])
@pytest.mark.parametrize("kind", [GCPPubSubTopic, GCPPubSubSubscription])
def test_names_that_pubsub_has_not(kind, name):
    with pytest.raises(DeclarationError, match=r"a name has 3 to 255 letters, digits"):
        kind(PROJECT, name)


@pytest.mark.parametrize("kind", [GCPPubSubTopic, GCPPubSubSubscription])
def test_names_are_texts(kind):
    with pytest.raises(DeclarationError, match=r"_name must be a text in quotes, got None"):
        kind(PROJECT, None)
    with pytest.raises(DeclarationError, match=r"project_id must be a text in quotes, got 7"):
        kind(7, "orders")


def test_pages_in_the_console():
    url = "https://console.cloud.google.com/cloudpubsub"
    topic, subscription = GCPPubSubTopic("p-1", "orders"), GCPPubSubSubscription(None, "to-ship")
    assert topic.cloud_console_url() == f"{url}/topic/detail/orders?project=p-1"
    assert subscription.cloud_console_url() == f"{url}/subscription/detail/to-ship"


def test_configuration_of_a_subscription():
    topic = GCPPubSubTopic("p-1", "orders")
    plain = GCPPubSubSubscription("p-1", "to-ship")
    assert (plain.ack_deadline_seconds, plain.message_retention_duration) == (600, "1200s")
    assert (plain.batch_size, plain.topic, plain.parents()) == (1000, None, ())
    assert plain.source_wire is Wire.BYTES
    other = plain.options(topic=topic, include_attributes=True, batch_size=7)
    assert (other.topic, other.batch_size, other.source_wire) == (topic, 7, Wire.OBJECT)
    assert other.parents() == (topic,)
    assert plain.topic is None
    assert plain.options(60, "600s", True, topic, 7, True) == plain.options(
        ack_deadline_seconds=60,
        message_retention_duration="600s",
        enable_exactly_once_delivery=True,
        topic=topic,
        batch_size=7,
        include_attributes=True,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"ack_deadline_seconds": 9}, "ack_deadline_seconds is 10 to 600, got 9"),
        ({"ack_deadline_seconds": 601}, "ack_deadline_seconds is 10 to 600, got 601"),
        ({"message_retention_duration": "20m"}, 'is "600s" to "2678400s", got \'20m\''),
        ({"message_retention_duration": "599s"}, "message_retention_duration is"),
        ({"batch_size": 0}, "batch_size is at least 1, got 0"),
        ({"batch_size": "7"}, "batch_size is at least 1, got '7'"),
        ({"message_retention_duration": 1200}, "message_retention_duration must be a text"),
        ({"topic": "orders"}, "topic is a GCPPubSubTopic, got 'orders'"),
    ],
)
def test_options_that_pubsub_has_not(words, message):
    with pytest.raises(DeclarationError) as caught:
        GCPPubSubSubscription(PROJECT, "to-ship").options(**words)
    assert message in str(caught.value)


class GCPOptions:
    default_project_id = "p-1"


@pytest.mark.parametrize("options", [GCPOptions(), CloudProvider(gcp_project="p-1")])
def test_projects_of_options(options):
    topic = GCPPubSubTopic.from_gcp_options(options, "orders")
    assert topic == GCPPubSubTopic("p-1", "orders")
    found = GCPPubSubSubscription.from_gcp_options(options, topic=topic, subscription_name="ship")
    assert found == GCPPubSubSubscription("p-1", "ship", topic=topic)
    bucket = GCSBucket.from_gcp_options(options, bucket_name="inbox", file_path="x.csv")
    assert bucket == GCSBucket("p-1", "inbox", "x.csv")


def test_default_names_of_options():
    topic = GCPPubSubTopic.from_gcp_options(GCPOptions())
    assert topic == GCPPubSubTopic("p-1", "buildflow_topic_1dee6e3e")
    found = GCPPubSubSubscription.from_gcp_options(GCPOptions(), topic=topic)
    assert found == GCPPubSubSubscription("p-1", "buildflow_subscription_1dee6e3e", topic=topic)
    with pytest.raises(
        DeclarationError, match="GCPPubSubTopic: a default name is made from the pr"
    ):
        GCPPubSubTopic.from_gcp_options(CloudProvider())
    with pytest.raises(DeclarationError, match="GCPPubSubSubscription: a default name is made"):
        GCPPubSubSubscription.from_gcp_options(CloudProvider(), topic=topic)
