"""Each AWS type and function by itself."""

from __future__ import annotations

import json
from typing import ClassVar

import grpc
import pytest

from buildflow_nb.local_cloud.provider.aws import AWS
from buildflow_nb.local_cloud.provider.aws.cloud import AWSCloud
from tests.local_cloud.provider.contract import ResourceContract
from tests.local_cloud.provider.instance import Instance

pytestmark = pytest.mark.emulator

BUCKET, QUEUE = "aws:s3/bucket:Bucket", "aws:sqs/queue:Queue"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": []}, indent=2)


@pytest.fixture
def queue(aws):
    """A queue that others need: its outputs."""
    resource_id, outputs = aws.create(QUEUE, aws.check(QUEUE, {"name": "others-queue"}))
    yield outputs.values
    aws.delete(QUEUE, resource_id, outputs)


@pytest.fixture
def bucket(aws):
    """A bucket that others need: its name."""
    inputs = aws.check(BUCKET, {"bucket": "others-bucket", "forceDestroy": True})
    resource_id, outputs = aws.create(BUCKET, inputs)
    yield resource_id
    aws.delete(BUCKET, resource_id, outputs)


class AWSContract(ResourceContract):
    @pytest.fixture
    def instance(self, aws):
        return aws

    def schema(self):
        return next(each.schema for each in AWS.resources if each.schema.token == self.token)


class TestBucket(AWSContract):
    token = BUCKET
    change: ClassVar[dict] = {"tags": {"b": "2"}}
    replacing: ClassVar[dict] = {"bucket": "another", "region": "eu-west-1"}

    @pytest.fixture
    def inputs(self):
        return {"bucket": "a-bucket", "tags": {"a": "1"}}

    @pytest.mark.parametrize(
        "name",
        [
            "ab",
            "a" * 64,
            "Upper",
            "under_score",
            "-dash",
            "dot..dot",
            "10.0.0.1",
            "xn--a",
            "a--x-s3",
        ],
    )
    def test_names_that_s3_rejects(self, aws, name):
        reason = aws.failures(BUCKET, {"bucket": name})["bucket"]
        assert reason.startswith(f"bucket name {name!r}: S3 takes")

    @pytest.mark.parametrize("name", ["abc", "a" * 63, "my.bucket-1", "1.2.3.4.5"])
    def test_names_that_s3_takes(self, aws, name):
        assert aws.failures(BUCKET, {"bucket": name}) == {}

    def test_one_that_is_there_is_not_taken_over(self, aws, bucket):
        with pytest.raises(grpc.RpcError, match=f"bucket {bucket!r} exists already"):
            aws.create(BUCKET, aws.check(BUCKET, {"bucket": bucket}))

    def test_objects_and_their_versions_go_only_by_force(self, aws, aws_url):
        inputs = aws.check(BUCKET, {"bucket": "full-bucket"})
        resource_id, outputs = aws.create(BUCKET, inputs)
        s3 = AWSCloud({"endpoints": [{"s3": aws_url}]}).s3()
        enabled = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=resource_id, VersioningConfiguration=enabled)
        for body in (b"1", b"2"):
            s3.put_object(Bucket=resource_id, Key="a b/ä", Body=body)
        s3.delete_object(Bucket=resource_id, Key="a b/ä")
        with pytest.raises(grpc.RpcError, match=r"BucketNotEmpty.*\.options\(force_destroy=True"):
            aws.delete(BUCKET, resource_id, outputs)
        outputs.values["forceDestroy"] = True
        aws.delete(BUCKET, resource_id, outputs)
        assert aws.read(BUCKET, resource_id, outputs, inputs)[0] == ""

    def test_default_tags_are_the_providers(self, ports, aws_url):
        instance = Instance(ports["aws"])
        tags = {"tags": {"stage": "dev", "team": "all"}}
        instance.configure(endpoints=[{"s3": aws_url}], defaultTags=tags)
        with instance.channel:
            inputs = instance.check(BUCKET, {"bucket": "with-defaults", "tags": {"team": "core"}})
            resource_id, outputs = instance.create(BUCKET, inputs)
            assert outputs.values["tags"] == {"team": "core"}
            assert outputs.values["tagsAll"] == {"stage": "dev", "team": "core"}
            assert instance.read(BUCKET, resource_id, outputs, inputs)[1] == inputs
            instance.delete(BUCKET, resource_id, outputs)


class TestQueue(AWSContract):
    token = QUEUE
    change: ClassVar[dict] = {
        "delaySeconds": 1,
        "maxMessageSize": 2048,
        "messageRetentionSeconds": 60,
        "receiveWaitTimeSeconds": 20,
        "sqsManagedSseEnabled": True,
        "tags": {"b": "2"},
        "visibilityTimeoutSeconds": 0,
    }
    replacing: ClassVar[dict] = {"name": "another", "region": "eu-west-1"}

    @pytest.fixture
    def inputs(self):
        return {"name": "a-queue", "tags": {"a": "1"}}

    def test_wrong_inputs(self, aws):
        assert "ends in .fifo" in aws.failures(QUEUE, {"name": "a", "fifoQueue": True})["name"]
        for name in ("has blank", "a" * 81, "dot.fifo", ""):
            assert "SQS takes 1 to 80" in aws.failures(QUEUE, {"name": name})["name"]
        number = aws.failures(QUEUE, {"delaySeconds": "5"})["delaySeconds"]
        assert number.endswith("expected a whole number, not this text")
        scope = aws.failures(QUEUE, {"deduplicationScope": "all"})["deduplicationScope"]
        assert scope.endswith("not one of messageGroup, queue")

    def test_an_import_by_name(self, aws, queue):
        assert aws.read(QUEUE, "others-queue")[0] == queue["url"]
        assert aws.read(QUEUE, "not-there")[0] == ""

    def test_deduplication_by_content_is_for_fifo_queues(self, aws):
        failures = aws.failures(QUEUE, {"contentBasedDeduplication": True})
        assert "is for FIFO queues" in failures["contentBasedDeduplication"]

    def test_a_fifo_queue(self, aws, queue):
        redrive = json.dumps({"deadLetterTargetArn": queue["arn"], "maxReceiveCount": 3})
        news = {"fifoQueue": True, "contentBasedDeduplication": True, "redrivePolicy": redrive}
        inputs = aws.check(QUEUE, news)
        resource_id, outputs = aws.create(QUEUE, inputs)
        assert outputs.values["name"].endswith(".fifo")
        assert outputs.values["contentBasedDeduplication"] is True
        assert outputs.values["redrivePolicy"] == redrive
        assert aws.read(QUEUE, resource_id, outputs, inputs)[1:] == (inputs, outputs)
        aws.delete(QUEUE, resource_id, outputs)

    def test_the_clouds_own_message_reaches_the_engine(self, aws):
        inputs = aws.check(QUEUE, {"visibilityTimeoutSeconds": 99_999})
        with pytest.raises(grpc.RpcError, match="creating aws:sqs/queue:Queue 'thing': An error"):
            aws.create(QUEUE, inputs)


class TestQueuePolicy(AWSContract):
    token = "aws:sqs/queuePolicy:QueuePolicy"  # noqa: S105
    change: ClassVar[dict] = {"policy": POLICY.replace("[]", '[{"Sid": "a"}]')}
    replacing: ClassVar[dict] = {"queueUrl": "http://127.0.0.1:1/000000000000/other"}

    @pytest.fixture
    def inputs(self, queue):
        return {"queueUrl": queue["url"], "policy": POLICY}


class TestBucketNotification(AWSContract):
    token = "aws:s3/bucketNotification:BucketNotification"  # noqa: S105
    replacing: ClassVar[dict] = {"bucket": "another"}

    @pytest.fixture
    def inputs(self, bucket, queue):
        configuration = {
            "queueArn": queue["arn"],
            "events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
            "filterPrefix": "in/",
            "filterSuffix": ".csv",
        }
        return {"bucket": bucket, "queues": [configuration]}

    def test_nested_inputs(self, aws, bucket):
        failures = aws.failures(self.token, {"bucket": bucket, "queues": [{"events": 3}, "x"]})
        assert failures["queues[0].queueArn"] == "Missing required property 'queues[0].queueArn'"
        assert failures["queues[0].events"].endswith("not a number")
        assert failures["queues[1]"].endswith("expected an object")

    def test_a_queue_that_is_not_there_is_refused_as_s3_does(self, aws, bucket):
        arn = "arn:aws:sqs:us-east-1:000000000000:nowhere"
        queues = [{"queueArn": arn, "events": ["s3:ObjectCreated:*"]}]
        inputs = aws.check(self.token, {"bucket": bucket, "queues": queues})
        with pytest.raises(grpc.RpcError, match="Unable to validate the following destination"):
            aws.create(self.token, inputs)


SEND = {
    "sid": "Send",
    "actions": ["sqs:SendMessage"],
    "resources": ["arn:b", "arn:a"],
    "principals": [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}],
    "conditions": [
        {"test": "ArnLike", "variable": "aws:SourceArn", "values": ["arn:aws:s3:*:*:b"]},
        {"test": "ArnLike", "variable": "aws:Other", "values": ["x", "y"]},
    ],
}
SENT = {
    "Sid": "Send",
    "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": ["arn:a", "arn:b"],
    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:b", "aws:Other": ["x", "y"]}},
}
DENY = {
    "effect": "Deny",
    "notActions": ["a:b"],
    "principals": [{"type": "*", "identifiers": ["*"]}],
}
DENIED = {"Effect": "Deny", "Principal": "*", "NotAction": "a:b"}


class TestPolicyDocument:
    token = "aws:iam/getPolicyDocument:getPolicyDocument"  # noqa: S105

    def test_a_document_of_all_parts(self, aws):
        result = aws.invoke(self.token, {"statements": [SEND, DENY], "policyId": "p"})
        document = json.loads(result["json"])
        assert document == {"Version": "2012-10-17", "Id": "p", "Statement": [SENT, DENIED]}
        assert json.loads(result["minifiedJson"]) == json.loads(result["json"])
        assert result["statements"][0]["sid"] == "Send"
        assert result["id"]

    def test_documents_to_merge(self, aws):
        base = json.dumps({"Statement": {"Sid": "a", "Effect": "Allow"}})
        over = json.dumps({"Statement": [{"Sid": "a", "Effect": "Deny"}, {"Effect": "Allow"}]})
        arguments = {"sourcePolicyDocuments": [base], "overridePolicyDocuments": [over]}
        merged = json.loads(aws.invoke(self.token, arguments)["json"])["Statement"]
        assert merged == [{"Sid": "a", "Effect": "Deny"}, {"Effect": "Allow"}]
        with pytest.raises(grpc.RpcError, match="is not JSON with a Statement"):
            aws.invoke(self.token, {"sourceJson": "{}"})
