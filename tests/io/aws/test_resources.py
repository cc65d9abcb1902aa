"""What the primitives declare to Pulumi, with its mocks in the engine's place."""

from __future__ import annotations

import asyncio
import json

import pulumi
import pytest

from buildflow_nb.core.config import CloudProvider
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env, Managed, owned_by, parents_of
from buildflow_nb.io.aws import AWSBucket, S3Bucket, S3FileChangeStream, SQSQueue

# The SDK of AWS decorates its own old names with warnings while it is imported.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* has been deprecated in favor of:DeprecationWarning"
)

ACCOUNT = "123456789012"


class Mocks(pulumi.runtime.Mocks):
    """Notes every resource, and gives queues an ARN."""

    def __init__(self):
        self.made = {}
        self.order = []

    def new_resource(self, args):
        self.made[args.name] = (args.typ, dict(args.inputs))
        self.order.append(args.name)
        name = args.inputs.get("name") or args.inputs.get("bucket")
        service = "sqs:eu-west-1:" + ACCOUNT if "queue" in args.typ.lower() else "s3::"
        outputs = {**args.inputs, "arn": f"arn:aws:{service}:{name}", "url": f"https://sqs/{name}"}
        return f"{args.name}-id", outputs

    def call(self, args):
        msg = f"no call was expected, got {args.token}"
        raise AssertionError(msg)


class FakeSite:
    """Declares into the mocks, and notes with which region, account and order."""

    env = Env()

    def __init__(self):
        self.given = []
        self.outputs = {}

    def aws(self, region=None, account=None, *, after=()):
        self.given.append((region, account, len(after)))
        return pulumi.ResourceOptions(depends_on=list(after))

    def made(self, primitive):
        return self.outputs.get(primitive.primitive_id)

    def declare(self, *primitives):
        for primitive in primitives:
            self.outputs[primitive.primitive_id] = primitive.resources(self)


@pytest.fixture(autouse=True)
def loops(monkeypatch):
    """Close the loops that Pulumi's mocks leave behind, one in each thread that asks them."""
    made = []
    new = asyncio.new_event_loop

    def noted():
        made.append(new())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", noted)
    asyncio.set_event_loop(noted())  # what ran before may have left this thread without one
    yield
    for loop in made:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    asyncio.set_event_loop(None)


def declared(*primitives):
    """The mocks, the site and the plain outputs after declaring these."""
    mocks, site, plain = Mocks(), FakeSite(), {}
    pulumi.runtime.set_mocks(mocks)

    @pulumi.runtime.test
    def program():
        site.declare(*primitives)
        return pulumi.Output.all(**site.outputs).apply(plain.update)

    program()
    return mocks, site, plain


def test_a_bucket():
    bucket = S3Bucket("inbox", aws_region="eu-west-1").options(force_destroy=True)
    mocks, site, outputs = declared(bucket)
    kind, inputs = mocks.made["inbox"]
    assert kind.startswith("aws:s3/bucket")
    assert (inputs["bucket"], inputs["forceDestroy"]) == ("inbox", True)
    assert site.given == [("eu-west-1", None, 0)]
    assert outputs["s3://inbox"] == {
        "arn": "arn:aws:s3:::inbox",
        "url": "s3://inbox",
        "name": "inbox",
    }


def test_a_queue():
    mocks, site, outputs = declared(SQSQueue("orders", ACCOUNT, "eu-west-1"))
    kind, inputs = mocks.made["eu-west-1-orders"]
    assert kind == "aws:sqs/queue:Queue"
    assert inputs["name"] == "orders"
    assert "fifoQueue" not in inputs
    assert site.given == [("eu-west-1", ACCOUNT, 0)]
    assert outputs["eu-west-1-orders"]["arn"] == f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders"


def test_a_fifo_queue():
    mocks, _, _ = declared(SQSQueue("orders.fifo"))
    _, inputs = mocks.made["orders.fifo"]
    assert (inputs["name"], inputs["fifoQueue"]) == ("orders.fifo", True)


@pytest.mark.parametrize("owned", [True, False], ids=["of the flow", "of others"])
def test_a_stream(owned):
    bucket = S3Bucket("my.inbox")
    stream = S3FileChangeStream(bucket, ["ObjectCreated:*", "ObjectRemoved:Delete"])
    before = [bucket] if owned else []
    mocks, site, outputs = declared(*before, *stream.owned(), stream)
    kind, inputs = mocks.made["my_inbox_queue-policy"]
    assert kind == "aws:sqs/queuePolicy:QueuePolicy"
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:my_inbox_queue"
    assert inputs["queueUrl"] == "https://sqs/my_inbox_queue"
    assert json.loads(inputs["policy"])["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {
                "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::my.inbox"},
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
            },
        }
    ]
    kind, inputs = mocks.made["my.inbox-my_inbox_queue-notification"]
    assert kind == "aws:s3/bucketNotification:BucketNotification"
    assert inputs["bucket"] == "my.inbox"
    (queue,) = inputs["queues"]
    assert queue["queueArn"] == arn
    assert queue["events"] == ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"]
    assert site.given[-1] == (None, None, 1)  # made after the policy
    assert mocks.order.index("my_inbox_queue-policy") < mocks.order.index(
        "my.inbox-my_inbox_queue-notification"
    )
    assert outputs["my.inbox:my_inbox_queue"]["arn"] == arn


def test_a_stream_needs_its_queue():
    with pytest.raises(DeclarationError, match="'inbox': its queue was not declared before it"):
        S3FileChangeStream(S3Bucket("inbox")).resources(FakeSite())


def test_all_are_managed():
    for primitive in (S3Bucket("inbox"), SQSQueue("q"), S3FileChangeStream(S3Bucket("inbox"))):
        assert isinstance(primitive, Managed)
    for alone in (S3Bucket("inbox"), SQSQueue("q")):
        assert owned_by(alone) == parents_of(alone) == ()


class AWSOptions:
    default_region = "eu-central-1"


@pytest.mark.parametrize("options", [AWSOptions(), CloudProvider(aws_region="eu-central-1")])
def test_regions_of_options(options):
    assert SQSQueue.from_aws_options(options, "q") == SQSQueue("q", aws_region="eu-central-1")
    bucket = S3Bucket("inbox", aws_region="eu-central-1")
    assert S3Bucket.from_aws_options(options, bucket_name="inbox") == bucket
    stream = S3FileChangeStream.from_aws_options(options, "inbox")
    assert stream == S3FileChangeStream(bucket)
    assert stream.sqs_queue.aws_region == "eu-central-1"


def test_options_without_a_region():
    assert SQSQueue.from_aws_options(CloudProvider(), "q") == SQSQueue("q")


def test_the_bucket_of_the_documents():
    assert AWSBucket is S3Bucket
    assert AWSBucket("my-bucket").bucket_url == "s3://my-bucket"
