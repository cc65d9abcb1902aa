"""Every AWS type through the real engine: its whole life, from preview to destroy."""

from __future__ import annotations

import json
import urllib.request

import boto3
import pulumi
import pulumi_aws
import pytest

from tests.infra.local_cloud.provider.engine import MARKS, Project, ops, paths, swept

__all__ = ("swept",)  # a fixture
pytestmark = MARKS

KEY, SECRET_TAG = "a-secret-key", "swordfish-in-a-tag"
ALL = ("Lake", "dead", "queue", "policy", "notification")


def every(op):
    return dict.fromkeys(ALL, op)


def program(url, *, queue=None, bucket=None, suffix=".csv", **more):
    """A bucket whose changes go to a queue, a dead letter queue, and a policy."""
    imports, names = more.pop("imports", {}), more.pop("names", {})

    def run():
        provider = pulumi_aws.Provider(
            "local",
            region="us-east-1",
            access_key="test",
            secret_key=pulumi.Output.secret(KEY),
            endpoints=[pulumi_aws.ProviderEndpointArgs(s3=url, sqs=url)],
        )

        def option(name, *after):
            return pulumi.ResourceOptions(
                provider=provider, import_=imports.get(name), depends_on=list(after)
            )

        lake = pulumi_aws.s3.Bucket(
            "Lake",
            **{"bucket": names.get("Lake"), "tags": {"team": "core"}, **(bucket or {})},
            opts=option("Lake"),
        )
        dead = pulumi_aws.sqs.Queue("dead", name=names.get("dead"), opts=option("dead"))
        redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
        jobs = pulumi_aws.sqs.Queue(
            "queue",
            **{"name": names.get("queue"), "redrive_policy": redrive, **(queue or {})},
            opts=option("queue"),
        )
        document = pulumi_aws.iam.get_policy_document_output(
            statements=[
                {
                    "actions": ["sqs:SendMessage"],
                    "resources": [jobs.arn],
                    "principals": [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}],
                }
            ],
            opts=pulumi.InvokeOutputOptions(provider=provider),
        )
        policy = pulumi_aws.sqs.QueuePolicy(
            "policy", queue_url=jobs.url, policy=document.json, opts=option("policy")
        )
        configuration = {
            "queue_arn": jobs.arn,
            "events": ["s3:ObjectCreated:*"],
            "filter_suffix": suffix,
        }
        pulumi_aws.s3.BucketNotification(
            "notification",
            bucket=lake.bucket,
            queues=[configuration],
            opts=option("notification", policy),
        )
        pulumi.export("bucket", lake.bucket)
        pulumi.export("queue", jobs.url)
        pulumi.export("dead", dead.url)
        pulumi.export("tags", lake.tags_all)

    return run


@pytest.fixture
def s3(aws_url):
    """A client of S3, which is empty, as SQS is."""
    reset = urllib.request.Request(f"{aws_url}/_ministack/reset", method="POST")  # noqa: S310
    with urllib.request.urlopen(reset, timeout=10):  # noqa: S310
        pass
    return client("s3", aws_url)


@pytest.fixture
def sqs(aws_url):
    return client("sqs", aws_url)


def client(service, url):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)


def test_whole_life(ports, aws_url, s3, sqs, tmp_path):
    project = Project(tmp_path, ports)
    first = program(aws_url)
    assert ops(project.preview(first)) == every("create")
    assert not s3.list_buckets()["Buckets"]
    assert ops(project.up(first)) == every("create")
    names = project.outputs()
    assert names["bucket"].startswith("lake-")
    attributes = sqs.get_queue_attributes(QueueUrl=names["queue"], AttributeNames=["All"])
    assert attributes["Attributes"]["MaximumMessageSize"] == "262144"
    assert ops(project.up(first)) == every("same")

    # Changes in place, first as a preview.
    second = program(
        aws_url,
        suffix=".json",
        queue={"visibility_timeout_seconds": 60, "tags": {"a": "b"}},
        bucket={"tags": {"team": "core", "shelf.no": "7"}},
    )
    told = project.preview(second)
    changes = {
        "Lake": {'tags["shelf.no"]': "add"},
        "queue": {"visibilityTimeoutSeconds": "update", "tags": "add"},
        "notification": {"queues[0].filterSuffix": "update"},
    }
    assert paths(told) == changes
    assert paths(project.up(second)) == changes
    assert ops(told) == {**every("same"), **dict.fromkeys(changes, "update")}
    assert project.outputs() == {**names, "tags": {"team": "core", "shelf.no": "7"}}
    assert ops(project.up(second)) == every("same")

    # Drift, and its mending.
    sqs.set_queue_attributes(QueueUrl=names["queue"], Attributes={"VisibilityTimeout": "5"})
    s3.delete_bucket_tagging(Bucket=names["bucket"])
    assert ops(project.refresh(second)) == {**every("same"), "queue": "update", "Lake": "update"}
    told = project.up(second)
    assert paths(told) == {"Lake": {"tags": "add"}, "queue": {"visibilityTimeoutSeconds": "update"}}
    tags = s3.get_bucket_tagging(Bucket=names["bucket"])["TagSet"]
    assert {"Key": "team", "Value": "core"} in tags

    # Replacement: the new queue is there before the old one goes.
    third = program(aws_url, queue={"fifo_queue": True, "redrive_policy": None})
    told = project.up(third)
    assert ops(told)["queue"] == "create-replacement replace delete-replaced"
    assert paths(told)["queue"]["fifoQueue"] == "update-replace"
    assert project.outputs()["queue"].endswith(".fifo")
    project.destroy(third)
    assert not s3.list_buckets()["Buckets"]
    assert not sqs.list_queues().get("QueueUrls")


def test_what_was_deleted_behind_its_back_comes_back(ports, aws_url, s3, sqs, tmp_path):
    project = Project(tmp_path, ports)
    one = program(aws_url)
    project.up(one)
    names = project.outputs()
    s3.delete_bucket(Bucket=names["bucket"])
    sqs.delete_queue(QueueUrl=names["queue"])
    sqs.delete_queue(QueueUrl=names["dead"])
    assert ops(project.refresh(one)) == every("delete")
    assert ops(project.up(one)) == every("create")
    # And one that is gone is no trouble for destroy either.
    s3.delete_bucket(Bucket=project.outputs()["bucket"])
    told = project.destroy(one)
    assert ops(told) == every("delete")


def test_import_and_the_deletion_of_what_is_not_empty(ports, aws_url, s3, sqs, tmp_path):
    given = {"Lake": "a-given-name", "dead": "given-dead", "queue": "given-queue"}
    maker = Project(tmp_path / "maker", ports)
    maker.up(program(aws_url, names=given, queue={"delay_seconds": 3}))
    names = maker.outputs()
    imports = {
        "Lake": names["bucket"],
        "notification": names["bucket"],
        "queue": names["queue"],
        "policy": names["queue"],
        "dead": names["dead"],
    }
    taker = Project(tmp_path / "taker", ports)
    importing = program(aws_url, names=given, imports=imports, queue={"delay_seconds": 3})
    assert ops(taker.preview(importing)) == every("import")
    assert ops(taker.up(importing)) == every("import")
    after = program(aws_url, names=given, queue={"delay_seconds": 3})
    assert ops(taker.up(after)) == every("same")

    s3.put_object(Bucket=names["bucket"], Key="left over", Body=b"1")
    with pytest.raises(Exception, match="The bucket you tried to delete is not empty") as failed:
        taker.destroy(after)
    assert "forceDestroy" in str(failed.value)
    forced = program(aws_url, names=given, bucket={"force_destroy": True})
    assert paths(taker.up(forced))["Lake"] == {"forceDestroy": "update"}
    taker.destroy(forced)
    assert not s3.list_buckets()["Buckets"]


def test_secrets_stay_secret(ports, aws_url, tmp_path):
    project = Project(tmp_path, ports)

    def secretive():
        program(aws_url, bucket={"tags": {"team": pulumi.Output.secret(SECRET_TAG)}})()

    project.up(secretive)
    assert project.results["tags"].secret
    assert project.outputs()["tags"] == {"team": SECRET_TAG}
    project.refresh(secretive)
    project.destroy(secretive)
    written = project.texts()
    assert "a-secret" not in written
    assert SECRET_TAG not in written
    assert json.dumps(SECRET_TAG) not in written


def test_what_is_wrong_fails_the_preview(ports, aws_url, tmp_path):
    project = Project(tmp_path, ports)
    with pytest.raises(Exception, match="bucket name 'Not A Name'"):
        project.preview(program(aws_url, names={"Lake": "Not A Name"}))
    with pytest.raises(Exception, match="dials only endpoints like http://127"):
        project.preview(program("https://sqs.us-east-1.amazonaws.com"))

    def unserved():
        pulumi_aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")

    with pytest.raises(Exception, match="the local cloud does not serve aws:ec2/vpc:Vpc") as failed:
        project.preview(unserved)
    assert "aws:sqs/queue:Queue" in str(failed.value)
