"""What a flow says that it declares."""

from __future__ import annotations

import asyncio
import json

from buildflow_nb.core.status.flow_state import FlowState
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.io.local import Empty, File, Pulse


def passed(x):
    return x


def primitives(state: FlowState) -> dict[str, dict[str, object]]:
    return {one["primitive_id"]: one for one in state.to_dict()["primitive_states"]}


def test_an_empty_flow_has_a_state(app):
    told = app.flowstate().to_dict()
    assert list(told) == [
        "flow_id",
        "stack",
        "primitive_states",
        "processor_group_states",
        "python_version",
        "ray_version",
        "buildflow_version",
    ]
    assert (told["flow_id"], told["stack"]) == ("test", "local")
    assert told["primitive_states"] == told["processor_group_states"] == []
    assert told["python_version"].startswith("3.")


def test_primitives_come_after_those_that_they_are_made_with(app):
    bucket = S3Bucket("shop")
    app.manage(S3FileChangeStream(bucket))
    found = primitives(app.flowstate())
    assert list(found) == ["s3://shop", "shop_queue", "shop:shop_queue"]
    stream = found["shop:shop_queue"]
    assert stream["primitive_dependencies"] == ["s3://shop", "shop_queue"]
    assert stream["managed"]
    assert found["shop_queue"]["managed"]  # it is the stream's own
    assert not found["s3://shop"]["managed"]
    assert found["s3://shop"] == {
        "primitive_id": "s3://shop",
        "primitive_name": "S3Bucket",
        "primitive_type": "aws",
        "managed": False,
        "resource_url": "https://console.aws.amazon.com/s3/buckets/shop",
        "primitive_dependencies": [],
        "declared_as": None,
    }


def test_primitives_of_one_id_and_two_classes_are_two(app):
    topic = GCPPubSubTopic("my-project", "orders")
    app.manage(topic, GCPPubSubSubscription("my-project", "orders").options(topic=topic))
    states = app.flowstate().primitive_states
    assert [one.primitive_name for one in states] == ["GCPPubSubTopic", "GCPPubSubSubscription"]
    assert {one.primitive_id for one in states} == {"my-project/orders"}


def test_processors_stand_in_their_groups(app):
    letters = SQSQueue("letters")
    app.consumer(source=Pulse([1], 1), sink=Empty(), dead_letter=letters)(passed)
    shop = app.service("/shop", service_id="shop")

    @shop.endpoint("/orders/{n}", method="GET")
    def show(n: int) -> int:
        return n

    @app.collector("/in", method="POST", sink=File("in.json"))
    def take(order: dict) -> dict:
        return order

    @shop.endpoint("/", method="POST")
    def put(order: dict) -> dict:
        return order

    @app.endpoint("/alone")
    def alone() -> int:
        return 1

    groups = app.flowstate().to_dict()["processor_group_states"]
    assert [(g["processor_group_id"], g["processor_group_type"]) for g in groups] == [
        ("passed", "consumer"),
        ("shop", "service"),
        ("take", "collector"),
        ("endpoint alone", "service"),
    ]
    consumer, service, collector, single = groups
    pulse = Pulse([1], 1).primitive_id
    assert consumer["group_info"] == {}
    assert consumer["processor_states"] == [
        {
            "processor_id": "passed",
            "processor_type": "consumer",
            "processor_info": {"source_id": pulse, "sink_id": "empty"},
            "primitive_dependencies": [pulse, "empty", "letters"],
        }
    ]
    assert service["group_info"] == {"base_route": "/shop"}
    assert [one["processor_info"] for one in service["processor_states"]] == [
        {"route": "/orders/{n}", "method": "GET"},
        {"route": "/", "method": "POST"},
    ]
    assert collector["group_info"] == {"base_route": "/in"}
    assert collector["processor_states"][0]["processor_info"] == {
        "sink_id": File("in.json").primitive_id
    }
    assert single["processor_states"][0]["processor_info"] == {"route": "/alone", "method": "GET"}


def test_a_primitive_of_the_user_has_no_cloud(app):
    class Mine:
        primitive_id = "mine"

    app.manage(Mine())
    assert primitives(app.flowstate())["mine"]["primitive_type"] == "agnostic"


def test_it_is_the_same_each_time_and_plain_data(app):
    app.consumer(source=Pulse([1], 1))(passed)
    app.service("s")
    first = app.flowstate().to_dict()
    assert first == app.flowstate().to_dict()
    assert json.loads(json.dumps(first)) == first


def test_it_can_be_awaited(app):
    async def go() -> FlowState:
        return await app.flowstate()

    assert asyncio.run(go()) == app.flowstate()
