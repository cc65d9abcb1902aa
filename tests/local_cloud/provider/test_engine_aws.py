"""Every AWS type through the real engine: its whole life, from preview to destroy."""

from __future__ import annotations

import urllib.request
from functools import partial

import boto3
import pulumi
import pulumi_aws
import pytest
from botocore.exceptions import ClientError

from buildflow_nb.local_cloud.provider.aws import bucket as bucket_module
from tests.local_cloud.provider.engine import MARKS, Project, ops, paths
from tests.local_cloud.provider.programs import AWS_KEY, AWSProgram

pytestmark = MARKS

SECRET_TAG = "swordfish-in-a-tag"  # noqa: S105


def every(op):
    return dict.fromkeys(AWSProgram.ALL, op)


@pytest.fixture
def program(aws_url):
    return partial(AWSProgram, url=aws_url)


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


def test_whole_life(ports, program, s3, sqs, tmp_path):
    project = Project(tmp_path, ports)
    made_at_first(project, program(), s3, sqs)
    changed_in_place(project, program)
    mended(project, program, s3, sqs)
    replaced(project, program)
    assert not s3.list_buckets()["Buckets"]
    assert not sqs.list_queues().get("QueueUrls")


def made_at_first(project, first, s3, sqs):
    assert ops(project.preview(first)) == every("create")
    assert not s3.list_buckets()["Buckets"]
    assert ops(project.up(first)) == every("create")
    names = project.outputs()
    assert names["bucket"].startswith("lake-")
    attributes = sqs.get_queue_attributes(QueueUrl=names["queue"], AttributeNames=["All"])
    assert attributes["Attributes"]["MaximumMessageSize"] == "262144"
    assert ops(project.up(first)) == every("same")


def changed(program):
    return program(
        suffix=".json",
        queue={"visibility_timeout_seconds": 60, "tags": {"a": "b"}},
        bucket={"tags": {"team": "core", "shelf.no": "7"}},
    )


def changed_in_place(project, program):
    names = project.outputs()
    changes = {
        "Lake": {'tags["shelf.no"]': "add"},
        "queue": {"visibilityTimeoutSeconds": "update", "tags": "add"},
        "notification": {"queues[0].filterSuffix": "update"},
    }
    assert paths(project.preview(changed(program))) == changes
    told = project.up(changed(program))
    assert paths(told) == changes
    assert ops(told) == {**every("same"), **dict.fromkeys(changes, "update")}
    assert project.outputs() == {**names, "tags": {"team": "core", "shelf.no": "7"}}
    assert ops(project.up(changed(program))) == every("same")


def mended(project, program, s3, sqs):
    """Drift shows in a refresh, and goes with the next update."""
    names = project.outputs()
    sqs.set_queue_attributes(QueueUrl=names["queue"], Attributes={"VisibilityTimeout": "5"})
    s3.delete_bucket_tagging(Bucket=names["bucket"])
    told = project.refresh(changed(program))
    assert ops(told) == {**every("same"), "queue": "update", "Lake": "update"}
    told = project.up(changed(program))
    assert paths(told) == {"Lake": {"tags": "add"}, "queue": {"visibilityTimeoutSeconds": "update"}}
    tags = s3.get_bucket_tagging(Bucket=names["bucket"])["TagSet"]
    assert {"Key": "team", "Value": "core"} in tags


def replaced(project, program):
    """The new queue is there before the old one goes, under another name."""
    third = program(queue={"fifo_queue": True, "redrive_policy": None})
    told = project.up(third)
    assert ops(told)["queue"] == "create-replacement replace delete-replaced"
    assert paths(told)["queue"]["fifoQueue"] == "update-replace"
    assert project.outputs()["queue"].endswith(".fifo")
    project.destroy(third)


def test_what_was_deleted_behind_its_back_comes_back(ports, program, s3, sqs, tmp_path):
    project = Project(tmp_path, ports)
    one = program()
    project.up(one)
    names = project.outputs()
    s3.delete_bucket(Bucket=names["bucket"])
    sqs.delete_queue(QueueUrl=names["queue"])
    sqs.delete_queue(QueueUrl=names["dead"])
    assert ops(project.refresh(one)) == every("delete")
    assert ops(project.up(one)) == every("create")
    s3.delete_bucket(Bucket=project.outputs()["bucket"])  # what is gone is no trouble for destroy
    assert ops(project.destroy(one)) == every("delete")


def test_import_and_the_deletion_of_what_is_not_empty(ports, program, s3, tmp_path):
    given = {"Lake": "a-given-name", "dead": "given-dead", "queue": "given-queue"}
    mine = partial(program, names=given, queue={"delay_seconds": 3})
    maker = Project(tmp_path / "maker", ports)
    maker.up(mine())
    names = maker.outputs()
    bucket, queue = names["bucket"], names["queue"]
    imports = {"Lake": bucket, "notification": bucket, "queue": queue, "policy": queue}
    taker = Project(tmp_path / "taker", ports)
    importing = mine(imports={**imports, "dead": names["dead"]})
    assert ops(taker.preview(importing)) == every("import")
    assert ops(taker.up(importing)) == every("import")
    assert ops(taker.up(mine())) == every("same")

    s3.put_object(Bucket=bucket, Key="left over", Body=b"1")
    with pytest.raises(Exception, match="The bucket you tried to delete is not empty") as failed:
        taker.destroy(mine())
    assert "force_destroy=True" in str(failed.value)
    forced = mine(bucket={"force_destroy": True})
    assert paths(taker.up(forced))["Lake"] == {"forceDestroy": "update"}
    taker.destroy(forced)
    assert not s3.list_buckets()["Buckets"]


def test_what_was_made_in_part_is_finished_by_the_next_update(
    ports, program, s3, tmp_path, monkeypatch
):
    def fail(*_):
        raise ClientError({"Error": {"Code": "Slow", "Message": "not now"}}, "PutBucketTagging")

    project = Project(tmp_path, ports)
    one = program(names={"Lake": "made-in-part"})
    monkeypatch.setattr(bucket_module, "_tag", fail)
    with pytest.raises(Exception, match=r"creating aws:s3/bucket:Bucket 'Lake'.*not now"):
        project.up(one)
    monkeypatch.undo()
    assert ops(project.up(one))["Lake"] == "update"
    tags = s3.get_bucket_tagging(Bucket="made-in-part")["TagSet"]
    assert tags == [{"Key": "team", "Value": "core"}]
    assert ops(project.destroy(one)) == every("delete")


def test_secrets_stay_secret(ports, aws_url, tmp_path):
    project = Project(tmp_path, ports)

    def secretive():
        tags = {"team": pulumi.Output.secret(SECRET_TAG)}
        AWSProgram(url=aws_url, bucket={"tags": tags})()

    project.up(secretive)
    assert project.results["tags"].secret
    assert project.outputs()["tags"] == {"team": SECRET_TAG}
    project.refresh(secretive)
    project.destroy(secretive)
    written = project.texts()
    assert AWS_KEY not in written
    assert SECRET_TAG not in written


def test_what_is_wrong_fails_the_preview(ports, program, tmp_path):
    project = Project(tmp_path, ports)
    with pytest.raises(Exception, match="bucket name 'Not A Name'"):
        project.preview(program(names={"Lake": "Not A Name"}))
    with pytest.raises(Exception, match="dials only endpoints like http://127"):
        project.preview(AWSProgram(url="https://sqs.us-east-1.amazonaws.com"))

    def unserved():
        pulumi_aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")

    with pytest.raises(Exception, match="the local cloud does not serve aws:ec2/vpc:Vpc") as failed:
        project.preview(unserved)
    assert "aws:sqs/queue:Queue" in str(failed.value)
