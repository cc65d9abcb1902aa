"""Every AWS type through the real engine: its whole life, from preview to destroy."""

from __future__ import annotations

import json

import boto3
import pulumi
import pulumi_aws
import pytest
from pulumi import automation as auto

from tests.infra.local_cloud.provider.engine import Project

pytestmark = [
    pytest.mark.pulumi,
    pytest.mark.emulator,
    # The SDK's module of S3 warns of its own deprecated classes when it is imported.
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
]

SECRET = "swordfish-in-a-tag"  # noqa: S105


def program(url, *, visibility=30, fifo=None, suffix=".csv", secret_tag=None, imports=None):
    """A bucket whose changes go to a queue, a dead letter queue, and policies."""
    imports = imports or {}

    def option(name):
        return pulumi.ResourceOptions(provider=provider, import_=imports.get(name))

    def run():
        nonlocal provider
        provider = pulumi_aws.Provider(
            "local",
            region="us-east-1",
            access_key="test",
            secret_key=pulumi.Output.secret("a-secret-key"),
            endpoints=[pulumi_aws.ProviderEndpointArgs(s3=url, sqs=url)],
        )
        tags = {"team": pulumi.Output.secret(secret_tag)} if secret_tag else {"team": "core"}
        bucket = pulumi_aws.s3.Bucket("Lake", tags=tags, opts=option("Lake"))
        dead = pulumi_aws.sqs.Queue("dead", opts=option("dead"))
        queue = pulumi_aws.sqs.Queue(
            "queue",
            visibility_timeout_seconds=visibility,
            redrive_policy=dead.arn.apply(
                lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
            ),
            fifo_queue=fifo,
            tags={"purpose": "test"},
            opts=option("queue"),
        )
        document = pulumi_aws.iam.get_policy_document_output(
            statements=[
                {
                    "actions": ["sqs:SendMessage"],
                    "resources": [queue.arn],
                    "principals": [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}],
                }
            ],
            opts=pulumi.InvokeOutputOptions(provider=provider),
        )
        policy = pulumi_aws.sqs.QueuePolicy(
            "policy", queue_url=queue.url, policy=document.json, opts=option("policy")
        )
        pulumi_aws.s3.BucketNotification(
            "notification",
            bucket=bucket.bucket,
            queues=[
                {
                    "queue_arn": queue.arn,
                    "events": ["s3:ObjectCreated:*"],
                    "filter_suffix": suffix,
                }
            ],
            opts=pulumi.ResourceOptions.merge(
                option("notification"), pulumi.ResourceOptions(depends_on=[policy])
            ),
        )
        pulumi.export("bucket", bucket.bucket)
        pulumi.export("queue", queue.url)
        pulumi.export("dead", dead.url)
        pulumi.export("tags", bucket.tags_all)

    provider = None
    return run


ALL = {"Lake", "dead", "queue", "policy", "notification"}


def ops(told):
    return {name: each["ops"] for name, each in told.items() if name in ALL}


def test_whole_life(ports, aws_url, tmp_path):
    project = Project(tmp_path, ports)
    first = program(aws_url)
    assert ops(project.preview(first)) == {name: ["create"] for name in ALL}
    assert ops(project.up(first)) == {name: ["create"] for name in ALL}
    names = project.outputs()
    assert ops(project.up(first)) == {name: ["same"] for name in ALL}
    told = project.up(program(aws_url, visibility=60, suffix=".json"))
    assert told["queue"]["ops"] == ["update"]
    print(told)
    assert project.outputs() == names
