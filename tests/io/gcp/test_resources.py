"""What the primitives declare to Pulumi, with its mocks in the engine's place."""

from __future__ import annotations

import asyncio

import pulumi
import pytest

from buildflow_nb.core.declaring.registry import Registry
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env, Managed, owned_by, parents_of
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)

# The SDK decorates its own old names with warnings while it is imported.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* has been deprecated in favor of:DeprecationWarning"
)

ACCOUNT = "service-7@gs-project-accounts.iam.gserviceaccount.com"


class Mocks(pulumi.runtime.Mocks):
    """Notes every resource and call, and gives topics and subscriptions their full names."""

    def __init__(self):
        self.made = {}
        self.order = []
        self.calls = []

    def new_resource(self, args):
        self.made[args.name] = (args.typ, dict(args.inputs))
        self.order.append(args.name)
        kind = args.typ.rpartition(":")[2].lower() + "s"
        made = f"projects/{args.inputs.get('project')}/{kind}/{args.inputs.get('name')}"
        return made, dict(args.inputs)

    def call(self, args):
        self.calls.append((args.token, dict(args.args), args.provider))
        return {"email_address": ACCOUNT, "emailAddress": ACCOUNT, "id": "7"}


class FakeSite:
    """Declares into the mocks, and notes for which project and after how many."""

    env = Env(gcp_project="stack-project")

    def __init__(self):
        self.given = []
        self.outputs = {}

    def gcp(self, project=None, *, after=()):
        self.given.append((project, len(after)))
        return pulumi.ResourceOptions(depends_on=list(after))

    def made(self, primitive):
        return self.outputs.get((type(primitive), primitive.primitive_id))

    def declare(self, *primitives):
        for primitive in primitives:
            outputs = primitive.resources(self)
            self.outputs[type(primitive), primitive.primitive_id] = outputs


@pytest.fixture(autouse=True)
def loops(monkeypatch):
    """Close the loops that Pulumi's mocks leave behind, one in each thread that asks them."""
    made = []
    new = asyncio.new_event_loop

    def noted():
        made.append(new())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", noted)
    asyncio.set_event_loop(noted())
    yield
    for loop in made:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    asyncio.set_event_loop(None)


def declared(*primitives):
    """The mocks and the site after declaring these."""
    mocks, site = Mocks(), FakeSite()
    pulumi.runtime.set_mocks(mocks)

    @pulumi.runtime.test
    def program():
        site.declare(*primitives)
        outputs = [value for found in site.outputs.values() for value in found.values()]
        return pulumi.Output.all(*outputs)

    program()
    return mocks, site


def test_a_bucket():
    bucket = GCSBucket("p-1", "inbox").options(force_destroy=True, bucket_region="EU")
    mocks, site = declared(bucket)
    assert mocks.made == {
        "inbox": (
            "gcp:storage/bucket:Bucket",
            {"name": "inbox", "location": "EU", "project": "p-1", "forceDestroy": True},
        )
    }
    assert site.given == [("p-1", 0)]


def test_a_topic_with_a_subscription():
    topic = GCPPubSubTopic("p-1", "orders")
    mocks, site = declared(topic, GCPPubSubSubscription("p-1", "to-ship").options(topic=topic))
    assert mocks.made == {
        "p-1/orders": ("gcp:pubsub/topic:Topic", {"name": "orders", "project": "p-1"}),
        "p-1/to-ship": (
            "gcp:pubsub/subscription:Subscription",
            {
                "name": "to-ship",
                "project": "p-1",
                "topic": "projects/p-1/topics/orders",
                "ackDeadlineSeconds": 600,
                "messageRetentionDuration": "1200s",
                "enableExactlyOnceDelivery": False,
            },
        ),
    }
    assert site.given == [("p-1", 0), ("p-1", 0)]


def test_projects_and_names_that_look_alike_are_told_apart():
    pairs = (("aaa", "bbb-ccc"), ("aaa-bbb", "ccc"), (None, "aaa-bbb-ccc"))
    topics = [GCPPubSubTopic(*pair) for pair in pairs]
    mocks, _ = declared(*topics)
    assert len(mocks.made) == len(topics)
    topic = topics[0]
    mocks, _ = declared(*(GCPPubSubSubscription(*pair).options(topic=topic) for pair in pairs))
    assert len(mocks.made) == len(pairs)


def test_a_subscription_to_a_topic_of_others_in_the_stacks_project():
    topic = GCPPubSubTopic(None, "orders")
    mocks, _ = declared(GCPPubSubSubscription("p-1", "to-ship").options(topic=topic))
    _, inputs = mocks.made["p-1/to-ship"]
    assert inputs["topic"] == "projects/stack-project/topics/orders"


def test_a_subscription_needs_a_topic():
    with pytest.raises(DeclarationError, match=r"to-ship: give the topic, as .options\(topic=…"):
        GCPPubSubSubscription("p-1", "to-ship").resources(FakeSite())


@pytest.mark.parametrize("owned", [True, False], ids=["of the flow", "of others"])
def test_a_stream(owned):
    bucket = GCSBucket("p-1", "my.inbox")
    stream = GCSFileChangeStream(bucket, ["OBJECT_FINALIZE", "OBJECT_DELETE"])
    before = [bucket] if owned else []
    mocks, site = declared(*before, *stream.owned(), stream)
    member, notification = (
        f"my.inbox.my.inbox_topic_{word}" for word in ("binding", "notification")
    )
    topic = "projects/p-1/topics/my.inbox_topic"
    assert mocks.made[member] == (
        "gcp:pubsub/topicIAMMember:TopicIAMMember",
        {"topic": topic, "role": "roles/pubsub.publisher", "member": f"serviceAccount:{ACCOUNT}"},
    )
    assert mocks.made[notification] == (
        "gcp:storage/notification:Notification",
        {
            "bucket": "my.inbox",
            "topic": topic,
            "payloadFormat": "JSON_API_V1",
            "eventTypes": ["OBJECT_FINALIZE", "OBJECT_DELETE"],
        },
    )
    ((token, words, _),) = mocks.calls
    assert token == "gcp:storage/getProjectServiceAccount:getProjectServiceAccount"  # noqa: S105
    assert words == {"project": "p-1"}
    assert site.given[-1] == ("p-1", 1)  # made after the member
    assert mocks.order.index(member) < mocks.order.index(notification)


def test_a_stream_needs_its_topic():
    with pytest.raises(DeclarationError, match="'inbox': its topic was not declared before it"):
        GCSFileChangeStream(GCSBucket("inbox")).resources(FakeSite())


def test_all_are_managed():
    bucket = GCSBucket("p-1", "inbox")
    topic = GCPPubSubTopic("p-1", "orders")
    subscription = GCPPubSubSubscription("p-1", "orders")
    for primitive in (bucket, topic, subscription, GCSFileChangeStream(bucket)):
        assert isinstance(primitive, Managed)
    for primitive in (bucket, topic, subscription):
        assert owned_by(primitive) == parents_of(primitive) == ()


@pytest.mark.parametrize(
    "managed",
    [
        GCPPubSubSubscription("p", "to-ship"),
        GCPPubSubSubscription("p", "to-ship").options(batch_size=5),
        GCPPubSubSubscription(None, "to-ship"),
    ],
)
def test_a_subscription_without_a_topic_is_not_managed(managed):
    registry = Registry(lambda _: None)
    with pytest.raises(DeclarationError, match=r"to-ship: give the topic, as \.options\(topic=…\)"):
        registry.manage(managed)
    assert registry.managed == ()


@pytest.mark.parametrize(
    "managed",
    [
        GCPPubSubTopic("p", "orders"),
        GCPPubSubSubscription("p", "to-ship").options(topic=GCPPubSubTopic("p", "orders")),
    ],
)
def test_what_lacks_nothing_is_managed(managed):
    registry = Registry(lambda _: None)
    registry.manage(managed)
    assert registry.managed == (managed,)
