"""What portable primitives are on each cloud, and the same declarations on two stacks."""

from __future__ import annotations

import pytest

from buildflow_nb import Flow, FlowOptions
from buildflow_nb.cockpit.views.graph import graph_of
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.portable import declared_as, placed, with_origin
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from buildflow_nb.io.local import LocalFileChangeStream
from buildflow_nb.io.portable import AnalysisTable, Bucket, FileChangeStream, Queue, Topic
from buildflow_nb.types.portable import FileFormat, PortableFileChangeEventType

TOPIC = GCPPubSubTopic(None, "orders")
SUBSCRIPTION = GCPPubSubSubscription(None, "orders_subscription", topic=TOPIC)
WORDS = {"file_path": "in", "file_format": FileFormat.CSV, "force_destroy": True}


def env(provider, cloud="local", **words):
    return Env(provider=provider, cloud=cloud, stack="made", **words)


@pytest.mark.parametrize(
    ("portable", "role", "provider", "found"),
    [
        (Bucket("inbox", **WORDS), "sink", "aws", [S3Bucket("inbox", **WORDS)]),
        (Bucket("inbox", **WORDS), "sink", "local", [S3Bucket("inbox", **WORDS)]),
        (Bucket("inbox", **WORDS), "managed", "gcp", [GCSBucket(None, "inbox", **WORDS)]),
        (Queue("orders"), "source", "aws", [SQSQueue("orders")]),
        (Queue("orders"), "managed", "local", [SQSQueue("orders")]),
        (Queue("orders"), "source", "gcp", [SUBSCRIPTION]),
        (Queue("orders"), "sink", "gcp", [TOPIC]),
        (Queue("orders"), "dead letter", "gcp", [TOPIC]),
        (Queue("orders"), "managed", "gcp", [TOPIC, SUBSCRIPTION]),
        (Topic("orders"), "source", "local", [SUBSCRIPTION]),
        (Topic("orders"), "managed", "gcp", [TOPIC, SUBSCRIPTION]),
        (FileChangeStream("s3://inbox/"), "source", "aws", [S3FileChangeStream(S3Bucket("inbox"))]),
        (
            FileChangeStream("inbox"),
            "managed",
            "gcp",
            [GCSFileChangeStream(GCSBucket(None, "inbox"))],
        ),
    ],
    ids=str,
)
def test_what_it_is(portable, role, provider, found):
    made = placed(portable, env(provider), role)
    assert list(made) == found
    label = f"{type(portable).__name__} {portable.primitive_id}"
    assert [declared_as(one) for one in made] == [label] * len(found)
    assert declared_as(found[0]) == ""


def test_on_this_machine_it_is_files(tmp_path):
    (stream,) = placed(FileChangeStream(str(tmp_path)), env("local"), "source")
    assert isinstance(stream, LocalFileChangeStream)
    (table,) = placed(AnalysisTable("sales"), env("local", folder=tmp_path), "sink")
    assert table == DuckDBTable(tmp_path / "buildflow_managed.duckdb", "sales")
    named = [
        placed(AnalysisTable(), env("local", gcp_project=project), "sink")[0].table
        for project in ("one-project", "one-project", "other-project")
    ]
    assert named[0] == named[1] != named[2]
    assert named[0].startswith("table_")
    assert len(named[0]) == len("table_") + 8


@pytest.mark.parametrize(
    ("portable", "where", "message"),
    [
        (Topic("orders"), env("aws"), "Topic 'orders': stack 'made' is on aws, which has none"),
        (AnalysisTable("t"), env("aws"), "which has none; take a RelationalTable"),
        (Queue("q"), env("azure"), "stack 'made' is on azure, which has none"),
        (Queue("q"), env("local", "real"), "nobody said which; write default_cloud_provider: aws"),
        (FileChangeStream("s3://inbox/below"), env("aws"), "a whole bucket; write 'inbox'"),
        (
            FileChangeStream("inbox", (PortableFileChangeEventType.UNKNOWN,)),
            env("gcp"),
            "FileChangeStream 'inbox': GCSChangeStreamEventType has nothing for",
        ),
    ],
)
def test_what_it_is_not(portable, where, message):
    with pytest.raises(DeclarationError, match=message):
        placed(portable, where, "source")


@pytest.mark.parametrize(
    "make", [lambda: Queue(None), lambda: Bucket(3), lambda: FileChangeStream("x", ["gone"])]
)
def test_nonsense_is_refused_at_once(make):
    with pytest.raises(DeclarationError):
        make()


YAML = """
app: shop
pulumi_config:
  default_stack: here
  stacks:
    - name: here
      cloud: local
    - name: google
      cloud: local
      cloud_provider_config:
        default_cloud_provider: gcp
        gcp_options: {default_project_id: shop-project}
    - name: paid
      cloud: real
cloud_provider_config:
  default_cloud_provider: aws
"""


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "buildflow.yaml").write_text(YAML)
    made = Flow()
    made.manage(Queue("orders"))

    @made.consumer(source=Queue("orders"), sink=Queue("priced"), dead_letter=Queue("failed"))
    def price(order: dict) -> dict:
        return order

    return made


def test_the_same_declarations_on_two_stacks(flow):
    spec = flow.processors["price"]
    assert (spec.source, spec.sink) == (SQSQueue("orders"), SQSQueue("priced"))
    assert spec.options.dead_letter == SQSQueue("failed")
    there = flow.on("google")
    spec = there.processors["price"]
    assert spec.source == SUBSCRIPTION
    assert spec.sink == GCPPubSubTopic(None, "priced")
    assert spec.options.dead_letter == GCPPubSubTopic(None, "failed")
    assert flow.on("paid").processors["price"].source == SQSQueue("orders")
    assert flow.processors["price"].source == SQSQueue("orders")
    assert there.place.env().gcp_project == "shop-project"


def test_what_is_managed_is_there_on_each(flow):
    assert flow.registry.managed == (SQSQueue("orders"),)
    assert set(flow.on("google").registry.managed) == {TOPIC, SUBSCRIPTION}
    other = Flow(options=FlowOptions(stack="google"))
    other.manage(Queue("orders"))
    assert set(other.on("here").registry.managed) == {SQSQueue("orders")}


def test_who_looks_sees_both(flow):
    told = {one.primitive_id: one.declared_as for one in flow.flowstate().primitive_states}
    assert told == {name: f"Queue {name}" for name in ("orders", "priced", "failed")}
    assert with_origin(flow.processors["price"].source) == "SQSQueue orders (Queue orders)"
    nodes = [(node.note, node.declared) for node in graph_of(flow.spec()).nodes.values()]
    assert ("SQSQueue", "Queue orders") in nodes
