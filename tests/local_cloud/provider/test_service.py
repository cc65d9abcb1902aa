"""The protocol: instances, previews, refusals, and many requests at once."""

from __future__ import annotations

import importlib.metadata
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.local_cloud.provider.aws import AWS
from buildflow_nb.local_cloud.provider.aws import cloud as aws_cloud
from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Bag, decode, encode
from buildflow_nb.local_cloud.provider.gcp import json_api, topic
from buildflow_nb.local_cloud.provider.server import ProviderServers
from tests.local_cloud.provider.instance import DEADLINE_S, Instance

pytestmark = pytest.mark.emulator

QUEUE = "aws:sqs/queue:Queue"
BUCKET = "aws:s3/bucket:Bucket"


def aws_instance(ports, url, **more):
    instance = Instance(ports["aws"])
    instance.configure(**{"endpoints": [{"s3": url, "sqs": url}], **more})
    return instance


def test_what_it_says_of_itself(aws):
    info = aws.stub.GetPluginInfo(empty_pb2.Empty(), timeout=DEADLINE_S)
    assert info.version == importlib.metadata.version("pulumi_aws")
    hello = aws.stub.Handshake(proto.ProviderHandshakeRequest(), timeout=DEADLINE_S)
    assert hello.accept_secrets
    assert not hello.accept_outputs


def test_instances_of_one_server_keep_their_own_configuration(ports, aws_url):
    east = aws_instance(ports, aws_url, region="us-east-1")
    west = aws_instance(ports, aws_url, region="eu-west-1")
    with east.channel, west.channel:
        arns = [
            each.create(QUEUE, each.check(QUEUE, {"name": "same-name"}))[1].values["arn"]
            for each in (east, west, east)
        ]
    assert [arn.split(":")[3] for arn in arns] == ["us-east-1", "eu-west-1", "us-east-1"]


def test_cancel_ends_nothing(aws):
    aws.cancel()
    assert aws.check(QUEUE, {}).values["name"].startswith("thing-")


def test_a_connection_without_configuration_is_told_so(ports):
    stranger = Instance(ports["aws"])
    with stranger.channel, pytest.raises(grpc.RpcError, match="is not configured") as refused:
        stranger.check(QUEUE, {})
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_configuration_that_leads_elsewhere_is_refused(ports):
    instance = Instance(ports["aws"])
    elsewhere = encode({"endpoints": '[{"s3": "https://s3.amazonaws.com"}]'})
    with instance.channel:
        answer = instance.stub.CheckConfig(proto.CheckRequest(news=elsewhere), timeout=DEADLINE_S)
        assert "is not of this machine" in answer.failures[0].reason
        with pytest.raises(grpc.RpcError, match="is not of this machine"):
            instance.stub.Configure(proto.ConfigureRequest(args=elsewhere), timeout=DEADLINE_S)


def test_another_region_makes_other_resources(aws):
    def diff(olds, news):
        request = proto.DiffRequest(old_inputs=encode(olds), news=encode(news))
        return aws.stub.DiffConfig(request, timeout=DEADLINE_S)

    assert list(diff({"region": "a"}, {"region": "b"}).replaces) == ["region"]
    other_key = diff({"accessKey": "a"}, {"accessKey": "b"})
    assert list(other_key.diffs) == ["accessKey"]
    assert not other_key.replaces
    assert diff({"region": "a"}, {"region": "a"}).changes == proto.DiffResponse.DIFF_NONE


@pytest.mark.parametrize("token", ["aws:ec2/vpc:Vpc", "aws:sqs/queue:Nonsense"])
def test_an_unserved_type_is_named_with_those_that_are_served(aws, token):
    with pytest.raises(grpc.RpcError) as refused:
        aws.check(token, {})
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert f"does not serve {token}; of aws it serves {BUCKET}" in refused.value.details()
    with pytest.raises(grpc.RpcError, match="does not serve aws:index/getRegion:getRegion"):
        aws.invoke("aws:index/getRegion:getRegion", {})


def test_a_preview_of_a_create_makes_nothing_and_knows_what_is_given(aws):
    inputs = aws.check(QUEUE, {"name": "never-made", "tags": UNKNOWN})
    resource_id, outputs = aws.create(QUEUE, inputs, preview=True)
    assert resource_id == ""
    assert outputs.values["arn"] is UNKNOWN
    assert outputs.values["tags"] is UNKNOWN
    assert outputs.values["visibilityTimeoutSeconds"] == 30
    assert aws.read(QUEUE, "http://127.0.0.1:1/000000000000/never-made")[0] == ""


def test_a_preview_of_an_update_knows_what_does_not_change(aws):
    inputs = aws.check(QUEUE, {"tags": {"a": "1"}})
    resource_id, outputs = aws.create(QUEUE, inputs)
    news = aws.check(QUEUE, {"tags": {"a": "2"}}, inputs.values)
    planned = aws.update(QUEUE, resource_id, outputs, inputs, news, preview=True)
    assert planned.values["arn"] == outputs.values["arn"]
    assert planned.values["tagsAll"] is UNKNOWN
    assert aws.read(QUEUE, resource_id, outputs, inputs)[2].values["tags"] == {"a": "1"}
    aws.delete(QUEUE, resource_id, outputs)


def test_secrets_come_back_as_secrets_and_in_no_message(aws):
    news = {"name": "secretive", "tags": {"a": "swordfish"}}
    inputs = aws.check(QUEUE, news, secrets={"tags"})
    assert inputs.secrets == {"tags"}
    resource_id, outputs = aws.create(QUEUE, inputs)
    assert outputs.secrets == {"tags", "tagsAll"}
    found_id, found, live = aws.read(QUEUE, resource_id, outputs, inputs)
    assert (found_id, found, live) == (resource_id, inputs, outputs)
    aws.delete(QUEUE, resource_id, outputs)

    bad = Bag({"name": "x", "policy": "swordfish", "visibilityTimeoutSeconds": 10**9})
    with pytest.raises(grpc.RpcError, match="creating aws:sqs/queue:Queue 'thing'"):
        aws.create(QUEUE, bad)
    hidden = Bag({**bad.values, "name": "swordfish"}, frozenset({"name"}))
    with pytest.raises(grpc.RpcError) as refused:
        aws.create(BUCKET, Bag({"bucket": "swordfish_"}, frozenset({"bucket"})))
    assert "[secret]" in refused.value.details() or "swordfish" not in refused.value.details()
    with pytest.raises(grpc.RpcError) as refused:
        aws.create(QUEUE, hidden)
    assert "swordfish" not in refused.value.details()


def test_what_was_made_in_part_is_kept(aws, monkeypatch):
    bucket = next(each for each in AWS.resources if each.schema.token == BUCKET)

    def fail(*_):
        raise ClientError({"Error": {"Code": "Gone", "Message": "no more"}}, "GetBucketLocation")

    monkeypatch.setattr(type(bucket), "read", fail)
    inputs = aws.check(BUCKET, {"bucket": "made-in-part"})
    with pytest.raises(grpc.RpcError, match="no more") as failed:
        aws.create(BUCKET, inputs)
    trailing = dict(failed.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    detail = proto.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "made-in-part"
    assert decode(detail.inputs) == inputs
    assert "creating aws:s3/bucket:Bucket 'thing'" in detail.reasons[0]
    monkeypatch.undo()
    aws.delete(BUCKET, detail.id, inputs)


def test_an_emulator_that_is_not_there_is_an_error_and_no_wait(ports):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        instance = aws_instance(ports, url)
        with instance.channel, pytest.raises(grpc.RpcError, match="Could not connect"):
            instance.create(QUEUE, instance.check(QUEUE, {}))


def test_many_requests_at_once(aws):
    inputs = {n: aws.check(QUEUE, {"name": f"many-{n}"}) for n in range(30)}
    with ThreadPoolExecutor(30) as pool:
        made = list(pool.map(lambda each: aws.create(QUEUE, each), inputs.values()))
        names = [outputs.values["name"] for _, outputs in made]
        assert names == [f"many-{n}" for n in range(30)]
        list(pool.map(lambda each: aws.delete(QUEUE, *each), made))


def test_servers_stop_and_start_again():
    others = {thread.name for thread in threading.enumerate()}
    servers = ProviderServers()
    ports = servers.start()
    assert sorted(ports) == ["aws", "gcp", "snowflake"]
    servers.stop()
    for port in ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    for thread in threading.enumerate():
        if thread.name.startswith("provider") and thread.name not in others:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
    assert sorted(servers.start()) == ["aws", "gcp", "snowflake"]
    servers.stop()


@pytest.fixture
def silent():
    """An endpoint that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


SHORT_S = 0.2


def test_a_hanging_emulator_of_aws_is_left(ports, silent, monkeypatch):
    quick = Config(read_timeout=SHORT_S, retries={"total_max_attempts": 1})
    monkeypatch.setattr(aws_cloud, "CONFIG", aws_cloud.CONFIG.merge(quick))
    instance = aws_instance(ports, silent)
    with instance.channel, pytest.raises(grpc.RpcError, match="Read timeout on endpoint"):
        instance.create(QUEUE, instance.check(QUEUE, {}))


def test_a_hanging_emulator_of_gcp_is_left(ports, silent, monkeypatch):
    monkeypatch.setattr(json_api, "CALL_S", SHORT_S)
    monkeypatch.setattr(topic, "CALL_S", SHORT_S)
    instance = Instance(ports["gcp"])
    with instance.channel:
        ends = {"storageCustomEndpoint": silent, "pubsubCustomEndpoint": silent}
        instance.configure(project="p", **ends)
        token = "gcp:storage/bucket:Bucket"  # noqa: S105
        with pytest.raises(grpc.RpcError, match=r"Cloud Storage at .* did not answer"):
            instance.create(token, instance.check(token, {"location": "US"}))
        token = "gcp:pubsub/topic:Topic"  # noqa: S105
        with pytest.raises(grpc.RpcError, match="creating gcp:pubsub/topic:Topic 'thing': 50"):
            instance.create(token, instance.check(token, {}))
