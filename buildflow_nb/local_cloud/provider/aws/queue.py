"""`aws:sqs/queue:Queue`: a queue of SQS, with its attributes and tags.

Its id is its URL, which names the account but not the region; so does an import, which therefore
looks in the provider's region. Creating a queue that is there with the same attributes adopts it,
as SQS itself does. An import may also name a queue by its name alone.

Source: Amazon SQS API reference, CreateQueue and SetQueueAttributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from buildflow_nb.local_cloud.provider.aws.cloud import (
    AWSCloud,
    is_gone,
    tag_properties,
    wanted_tags,
)
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("Queue",)

NAME = re.compile(r"[A-Za-z0-9_-]+")
LONGEST = 80  # characters, with the ending
FIFO = ".fifo"
KEY = "kmsMasterKeyId"
DEDUPLICATION = "contentBasedDeduplication"
ATTRIBUTES = {
    DEDUPLICATION: "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "delaySeconds": "DelaySeconds",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    KEY: "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


class Queue(Resource[AWSCloud]):
    """A queue of SQS."""

    service = "sqs"
    schema: ClassVar[Schema] = Schema(
        "aws:sqs/queue:Queue",
        inputs={
            DEDUPLICATION: Input(Kind.FLAG, default=False),
            "deduplicationScope": Input(computed=True, choices=("messageGroup", "queue")),
            "delaySeconds": Input(Kind.NUMBER, default=0),
            "fifoQueue": Input(Kind.FLAG, replaces=True, default=False),
            "fifoThroughputLimit": Input(computed=True, choices=("perQueue", "perMessageGroupId")),
            "kmsDataKeyReusePeriodSeconds": Input(Kind.NUMBER, computed=True),
            KEY: Input(),
            "maxMessageSize": Input(Kind.NUMBER, default=262_144),
            "messageRetentionSeconds": Input(Kind.NUMBER, default=345_600),
            "name": Input(replaces=True, computed=True),
            "namePrefix": Input(replaces=True),
            "policy": Input(Kind.JSON, computed=True),
            "receiveWaitTimeSeconds": Input(Kind.NUMBER, default=0),
            "redriveAllowPolicy": Input(Kind.JSON, computed=True),
            "redrivePolicy": Input(Kind.JSON, computed=True),
            "region": Input(replaces=True, computed=True),
            "sqsManagedSseEnabled": Input(Kind.FLAG, computed=True),
            "tags": Input(Kind.TABLE),
            "visibilityTimeoutSeconds": Input(Kind.NUMBER, default=30),
        },
        outputs={"arn": (), "url": (), "tagsAll": ("tags",)},
        name=AutoName("name", LONGEST, prefix="namePrefix", suffix=FIFO, suffix_if="fifoQueue"),
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """What SQS would reject."""
        name, fifo = inputs.text("name"), inputs.flag("fifoQueue")
        if inputs.flag(DEDUPLICATION) and inputs.get("fifoQueue") is False:
            yield Failure(DEDUPLICATION, f"{DEDUPLICATION!r} is for FIFO queues; set fifoQueue too")
        if name is None:
            return
        stem = name.removesuffix(FIFO) if fifo else name
        if len(name) > LONGEST or NAME.fullmatch(stem) is None:
            reason = (
                f"queue name {name!r}: SQS takes 1 to 80 letters, digits, dashes and underscores"
            )
            yield Failure("name", reason)
        if fifo and not name.endswith(FIFO):
            yield Failure("name", f"queue name {name!r}: the name of a FIFO queue ends in {FIFO}")

    def identify(self, cloud: AWSCloud, resource_id: str) -> str | None:
        """The URL of a queue that is given by its URL, or by its name alone."""
        if "/" in resource_id:
            return resource_id
        try:
            return str(cloud.sqs().get_queue_url(QueueName=resource_id)["QueueUrl"])
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def create(self, cloud: AWSCloud, inputs: Properties) -> str:
        """Make the queue with its attributes and tags, in one call."""
        attributes = _attributes(inputs)
        if inputs.flag("fifoQueue"):
            attributes["FifoQueue"] = "true"  # SQS rejects the word "false"
        made = cloud.sqs(inputs.text("region")).create_queue(
            QueueName=inputs.must("name"), Attributes=attributes, tags=wanted_tags(cloud, inputs)
        )
        return str(made["QueueUrl"])

    def read(
        self, cloud: AWSCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the queue's attributes and tags."""
        sqs = cloud.sqs(known.text("region"))
        try:
            got = sqs.get_queue_attributes(QueueUrl=resource_id, AttributeNames=["All"])
            tags = sqs.list_queue_tags(QueueUrl=resource_id).get("Tags", {})
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        live = got.get("Attributes", {})
        arn = live["QueueArn"]
        return {
            "name": arn.rpartition(":")[2],
            "region": arn.split(":")[3],
            "arn": arn,
            "url": resource_id,
            "fifoQueue": live.get("FifoQueue") == "true",
            **_properties(live),
            **tag_properties(cloud, known, tags),
        }

    def update(self, cloud: AWSCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set all attributes, and the tags that differ."""
        sqs = cloud.sqs(news.text("region"))
        attributes = _attributes(news)
        if olds.text(KEY) and not news.text(KEY):
            attributes[ATTRIBUTES[KEY]] = ""  # SQS takes an attribute away by an empty value
        sqs.set_queue_attributes(QueueUrl=resource_id, Attributes=attributes)
        _tag(sqs, resource_id, wanted_tags(cloud, news))

    def delete(self, cloud: AWSCloud, resource_id: str, known: Properties) -> None:
        """Delete the queue with its messages."""
        try:
            cloud.sqs(known.text("region")).delete_queue(QueueUrl=resource_id)
        except ClientError as error:
            if not is_gone(error):
                raise


def _attributes(inputs: Properties) -> dict[str, str]:
    """Inputs as SQS wants them: every value a text."""
    found: dict[str, str] = {}
    for name, attribute in ATTRIBUTES.items():
        value = inputs.get(name)
        if value is None or (name == DEDUPLICATION and not inputs.flag("fifoQueue")):
            continue  # a standard queue has no such attribute
        found[attribute] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _properties(live: Mapping[str, str]) -> dict[str, Plain]:
    """Attributes as properties; what SQS does not tell is at its default or unset."""
    found: dict[str, Plain] = {DEDUPLICATION: False}
    for name, attribute in ATTRIBUTES.items():
        kind = Queue.schema.inputs[name].kind
        value = live.get(attribute)
        if value is None:
            found.setdefault(name, None)
        elif kind is Kind.NUMBER:
            found[name] = int(value)
        else:
            found[name] = value == "true" if kind is Kind.FLAG else value
    return found


def _tag(sqs: Any, url: str, tags: Mapping[str, str]) -> None:
    live = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
    gone = sorted(live.keys() - tags.keys())
    if gone:
        sqs.untag_queue(QueueUrl=url, TagKeys=gone)
    if any(live.get(key) != value for key, value in tags.items()):
        sqs.tag_queue(QueueUrl=url, Tags=dict(tags))
