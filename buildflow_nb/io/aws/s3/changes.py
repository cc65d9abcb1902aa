"""A source of what happens to the objects of an S3 bucket, by way of an SQS queue of its own.

S3 sends a message to the queue for each change; the flow that manages this primitive also makes the
queue, lets the bucket send to it, and configures the notification. S3 keeps one notification
configuration per bucket, so managing this takes the place of others that the bucket may have.
Delivery is at least once and in no order (Amazon S3 User Guide, "Amazon S3 Event Notifications").

Format: the same, "Event message structure". A message holds `Records`, nearly always one; the keys
in them are URL-encoded with `+` for a space. S3 sends a message without records, the test event,
when a notification is configured.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self, cast
from urllib.parse import unquote_plus

import msgspec

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, Malformed, Managed, PrimitiveId, Site, Source, Wire
from buildflow_nb.io.aws.clients import connect
from buildflow_nb.io.aws.errors import Target
from buildflow_nb.io.aws.s3.bucket import S3Bucket
from buildflow_nb.io.aws.sqs.queue import SQSQueue
from buildflow_nb.io.checks import looked_at_parts
from buildflow_nb.io.events import EventSource
from buildflow_nb.io.fields import event_types_of
from buildflow_nb.io.input_types import never_becomes
from buildflow_nb.types.aws import S3ChangeStreamEventType, S3FileChangeEvent

__all__ = ("S3FileChangeStream", "event_source", "events_of")

TEST_EVENT = "s3:TestEvent"
# What no encoded key holds: some emulators send keys as they are.
NOT_ENCODED = re.compile(r"[^!-~]|%(?![0-9A-Fa-f]{2})")
_DECODER = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class S3FileChangeStream(Injectable):
    """Changes of the objects of `s3_bucket`, of the given types; none given means all.

    With `filter_test_events` the message that S3 sends when the notification is configured is
    dropped; without it, it comes as an event of type `UNKNOWN`.

    Raises:
        DeclarationError: that is no bucket, or an event type cannot be subscribed to.
    """

    cloud: ClassVar[str] = "aws"
    shared: ClassVar[bool] = True
    source_wire: ClassVar[Wire] = Wire.OBJECT
    max_pullers: ClassVar[int] = 1  # the queue's source makes several calls at once by itself

    s3_bucket: S3Bucket
    event_types: Iterable[S3ChangeStreamEventType | str] = (
        S3ChangeStreamEventType.OBJECT_CREATED_ALL,
    )
    filter_test_events: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.s3_bucket, S3Bucket):
            msg = (
                f"S3FileChangeStream: s3_bucket must be a bucket, got {self.s3_bucket!r}; "
                "write S3FileChangeStream(S3Bucket(…))"
            )
            raise DeclarationError(msg)
        every = (
            S3ChangeStreamEventType.OBJECT_CREATED_ALL,
            S3ChangeStreamEventType.OBJECT_REMOVED_ALL,
        )
        kinds = event_types_of(
            "S3FileChangeStream", S3ChangeStreamEventType, self.event_types, every
        )
        object.__setattr__(self, "event_types", kinds)

    @classmethod
    def from_aws_options(cls, aws_options: object, bucket_name: str) -> Self:
        """The changes of a bucket in the region that options of a cloud provider name."""
        return cls(S3Bucket.from_aws_options(aws_options, bucket_name=bucket_name))

    @property
    def sqs_queue(self) -> SQSQueue:
        """The queue that the bucket sends to, and that nothing else should."""
        # Queues have no dots in their names and buckets no underscores: no two meet.
        name = self.s3_bucket.bucket_name.replace(".", "_")
        return SQSQueue(f"{name}_queue", aws_region=self.s3_bucket.aws_region)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The names of bucket and queue."""
        return PrimitiveId(f"{self.s3_bucket.bucket_name}:{self.sqs_queue.queue_name}")

    @property
    def label(self) -> str:
        """The bucket's name."""
        return self.s3_bucket.bucket_name

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter of this type, if anything is."""
        return never_becomes(self, S3FileChangeEvent, hint)

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[Source]:
        """Open a source."""
        s3_client = await asyncio.to_thread(self._s3_client, env)
        async with self.sqs_queue.source(env) as queue:
            yield event_source(queue, s3_client, test_events=not self.filter_test_events)

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look at the bucket, and at the queue that it sends to."""
        return await looked_at_parts(self, env, self.s3_bucket, self.sqs_queue)

    def owned(self) -> tuple[Managed, ...]:
        """The queue."""
        return (self.sqs_queue,)

    def parents(self) -> tuple[Managed, ...]:
        """The bucket."""
        return (self.s3_bucket,)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Let the bucket send to the queue, then have it do so; gives the queue's `arn`, `url`."""
        from pulumi_aws import s3, sqs

        bucket, region = self.s3_bucket.bucket_name, self.s3_bucket.aws_region
        queue = site.made(self.sqs_queue)
        if queue is None:
            msg = f"S3FileChangeStream {bucket!r}: its queue was not declared before it"
            raise DeclarationError(msg)
        policy = sqs.QueuePolicy(
            f"{self.sqs_queue.queue_name}-policy",
            queue_url=queue["url"],
            policy=queue["arn"].apply(lambda arn: _policy(arn, bucket)),
            opts=site.aws(region),
        )
        made = site.made(self.s3_bucket) or {"name": bucket}
        s3.BucketNotification(
            f"{bucket}-{self.sqs_queue.queue_name}-notification",
            bucket=made["name"],
            queues=[{"queue_arn": queue["arn"], "events": self._subscribed()}],
            opts=site.aws(region, after=[policy]),  # S3 tries the queue when it is configured
        )
        return {"arn": queue["arn"], "url": queue["url"]}

    def _s3_client(self, env: Env) -> object:
        with Target("bucket", self.s3_bucket.bucket_name, env.stack_said).faults("s3:GetObject"):
            return connect(env, "s3", self.s3_bucket.aws_region)

    def _subscribed(self) -> list[str]:
        kinds = cast("tuple[S3ChangeStreamEventType, ...]", self.event_types)
        return [f"s3:{kind.value}" for kind in kinds]


def _policy(queue_arn: str, bucket: str) -> str:
    """Lets S3, on behalf of this bucket and of the queue's own account alone, send messages."""
    _, partition, _, _, account, _ = queue_arn.split(":")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:{partition}:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def event_source(queue: Source, s3_client: object, *, test_events: bool) -> EventSource:
    """The events of a bucket, out of its queue; `s3_client` fetches objects."""
    read = partial(events_of, s3_client=s3_client, test_events=test_events)
    return EventSource(queue, read, _origin)


def events_of(
    body: str, s3_client: object, *, test_events: bool
) -> list[S3FileChangeEvent | Malformed]:
    """The events of a message; none for a test event, unless those are wanted.

    Anybody who may send to the queue may send anything: what cannot be read fails alone.
    """
    try:
        return _read(body, s3_client, test_events=test_events)
    except Exception as error:  # noqa: BLE001  (a RecursionError, say, of JSON that nests deeply)
        return [
            Malformed(body, f"cannot be read as a message of S3: {type(error).__name__}: {error}")
        ]


def _read(
    body: str, s3_client: object, *, test_events: bool
) -> list[S3FileChangeEvent | Malformed]:
    try:
        message = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        return [Malformed(body, f"not JSON, so no message of S3: {error}")]
    if not isinstance(message, dict):
        return [Malformed(body, "no JSON object, so no message of S3")]
    if isinstance(message.get("Records"), list):
        return [_event(record, s3_client) for record in message["Records"]]
    if message.get("Event") != TEST_EVENT:
        return [Malformed(body, "neither Records nor a test event, so no message of S3")]
    return [_test_event(message)] if test_events else []


def _event(record: Any, s3_client: object) -> S3FileChangeEvent | Malformed:
    try:
        s3 = record["s3"]
        return S3FileChangeEvent(
            _decoded(s3["object"]["key"]),
            S3ChangeStreamEventType(str(record["eventName"])),
            record,
            s3["bucket"]["name"],
            s3_client,
        )
    except (KeyError, TypeError) as error:
        return Malformed(record, f"a record without the names of event, bucket and key: {error}")


def _test_event(message: Mapping[str, Any]) -> S3FileChangeEvent:
    return S3FileChangeEvent("", S3ChangeStreamEventType.UNKNOWN, message, message.get("Bucket"))


def _decoded(key: str) -> str:
    return key if NOT_ENCODED.search(key) else unquote_plus(key)


def _origin(item: object) -> str:
    bucket, key = getattr(item, "bucket_name", None), getattr(item, "file_path", "")
    return f"s3://{bucket}/{key}" if bucket else "a message of S3"
