"""A source of what happens to the objects of a Cloud Storage bucket, by way of Pub/Sub.

Cloud Storage publishes to a topic for each change; the flow that manages this primitive makes the
topic with a subscription, lets Cloud Storage publish to it, and adds a notification to the bucket,
beside others that the bucket may have. Delivery is at least once and in no order (Cloud Storage
documentation, "Pub/Sub notifications", section "Delivery guarantees"). What happened to which
object is in a message's attributes (the same, section "Notification format").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, Malformed, Managed, PrimitiveId, Site, Source, Wire
from buildflow_nb.io.checks import looked_at_parts
from buildflow_nb.io.events import EventSource
from buildflow_nb.io.fields import event_types_of
from buildflow_nb.io.gcp.clients import storage_client
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.gcs.bucket import GCSBucket
from buildflow_nb.io.gcp.pubsub.subscription import GCPPubSubSubscription
from buildflow_nb.io.gcp.pubsub.topic import GCPPubSubTopic
from buildflow_nb.io.input_types import never_becomes
from buildflow_nb.types.gcp import GCSChangeStreamEventType, GCSFileChangeEvent, PubsubMessage

__all__ = ("GCSFileChangeStream", "event_of", "event_source")

READER = "roles/storage.objectViewer"
PUBLISHER = "roles/pubsub.publisher"


@dataclass(frozen=True, slots=True)
class GCSFileChangeStream(Injectable):
    """Changes of the objects of `gcs_bucket`, of the given types; none given means all.

    Raises:
        DeclarationError: that is no bucket, or an event type cannot be subscribed to.
    """

    cloud: ClassVar[str] = "gcp"
    shared: ClassVar[bool] = True
    source_wire: ClassVar[Wire] = Wire.OBJECT
    max_pullers: ClassVar[int] = 1  # what a pull passes over is settled before the next

    gcs_bucket: GCSBucket
    event_types: Iterable[GCSChangeStreamEventType | str] = (
        GCSChangeStreamEventType.OBJECT_FINALIZE,
    )

    def __post_init__(self) -> None:
        if not isinstance(self.gcs_bucket, GCSBucket):
            msg = (
                f"GCSFileChangeStream: gcs_bucket must be a bucket, got {self.gcs_bucket!r}; "
                "write GCSFileChangeStream(GCSBucket(…))"
            )
            raise DeclarationError(msg)
        every = tuple(k for k in GCSChangeStreamEventType if k.name != "UNKNOWN")
        kinds = event_types_of(
            "GCSFileChangeStream", GCSChangeStreamEventType, self.event_types, every
        )
        object.__setattr__(self, "event_types", kinds)

    @classmethod
    def from_gcp_options(
        cls,
        gcp_options: object,
        bucket_name: str,
        event_types: Iterable[GCSChangeStreamEventType | str] = (
            GCSChangeStreamEventType.OBJECT_FINALIZE,
        ),
    ) -> Self:
        """The changes of a bucket in the project that options of a cloud provider name."""
        bucket = GCSBucket.from_gcp_options(gcp_options, bucket_name=bucket_name)
        return cls(bucket, event_types)

    @property
    def pubsub_topic(self) -> GCPPubSubTopic:
        """The topic that Cloud Storage publishes to, and that nobody else should."""
        return GCPPubSubTopic(self.gcs_bucket.project_id, f"{self._name}_topic")

    @property
    def pubsub_subscription(self) -> GCPPubSubSubscription:
        """The subscription that is read."""
        name = f"{self._name}_subscription"
        return GCPPubSubSubscription(
            self.gcs_bucket.project_id, name, topic=self.pubsub_topic, include_attributes=True
        )

    @property
    def primitive_id(self) -> PrimitiveId:
        """The names of bucket and topic."""
        return PrimitiveId(f"{self.gcs_bucket.bucket_name}.{self.pubsub_topic.topic_name}")

    @property
    def label(self) -> str:
        """The bucket's name."""
        return self.gcs_bucket.bucket_name

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter of this type, if anything is."""
        return never_becomes(self, GCSFileChangeEvent, hint)

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[Source]:
        """Open a source."""
        client = await asyncio.to_thread(self._storage_client, env)
        async with self.pubsub_subscription.source(env) as subscription:
            yield event_source(subscription, client, self._kinds)

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look at the bucket, and at the subscription that is read."""
        return await looked_at_parts(self, env, self.gcs_bucket, self.pubsub_subscription)

    def owned(self) -> tuple[Managed, ...]:
        """The topic and the subscription."""
        return (self.pubsub_topic, self.pubsub_subscription)

    def parents(self) -> tuple[Managed, ...]:
        """The bucket."""
        return (self.gcs_bucket,)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Let Cloud Storage publish to the topic, then have it do so; gives the topic's `id`.

        Raises:
            DeclarationError: the topic was not declared before.
        """
        from pulumi_gcp import storage

        bucket = self.gcs_bucket.bucket_name
        topic = site.made(self.pubsub_topic)
        if topic is None:
            msg = f"GCSFileChangeStream {bucket!r}: its topic was not declared before it"
            raise DeclarationError(msg)
        made = site.made(self.gcs_bucket) or {"name": bucket}
        member = self._publisher(site, topic["id"])
        storage.Notification(
            f"{self.primitive_id}_notification",
            bucket=made["name"],
            topic=topic["id"],
            payload_format="JSON_API_V1",
            event_types=[kind.name for kind in self._kinds],
            # Cloud Storage tries the topic at once.
            opts=site.gcp(self.gcs_bucket.project_id, after=[member]),
        )
        return {"id": topic["id"]}

    def _publisher(self, site: Site, topic_id: Any) -> Any:
        """Lets the service account of Cloud Storage in the bucket's project publish."""
        import pulumi
        from pulumi_gcp import pubsub, storage

        project = self.gcs_bucket.project_id
        options = site.gcp(project)
        account = storage.get_project_service_account_output(
            project=project,
            opts=pulumi.InvokeOutputOptions(parent=options.parent, provider=options.provider),
        )
        # A member, and no binding: a binding would take the role from everybody else.
        return pubsub.TopicIAMMember(
            f"{self.primitive_id}_binding",
            topic=topic_id,
            role=PUBLISHER,
            member=account.email_address.apply(lambda email: f"serviceAccount:{email}"),
            opts=options,
        )

    @property
    def _kinds(self) -> tuple[GCSChangeStreamEventType, ...]:
        return cast("tuple[GCSChangeStreamEventType, ...]", self.event_types)

    @property
    def _name(self) -> str:
        """The bucket's name, with a letter before it: Pub/Sub wants one, and buckets may not.

        It is a capital one, which no bucket's name has, so that no two names meet.
        """
        name = self.gcs_bucket.bucket_name
        return name if name[0].isalpha() else f"B{name}"

    def _storage_client(self, env: Env) -> object:
        with Target("bucket", self.gcs_bucket.bucket_name, env.stack_said).faults(READER):
            return storage_client(env, self.gcs_bucket.project_id)


def event_source(
    subscription: Source, storage_client: object, wanted: Collection[GCSChangeStreamEventType]
) -> EventSource:
    """The events of a bucket, out of its subscription; `storage_client` fetches objects.

    Events of kinds that are not `wanted` are passed over, but for those that nobody knows.
    """
    kinds = {*wanted, GCSChangeStreamEventType.UNKNOWN}

    def read(message: PubsubMessage) -> list[object]:
        event = event_of(message, storage_client)
        return [event] if isinstance(event, Malformed) or event.event_type in kinds else []

    return EventSource(subscription, read, _origin)


def event_of(message: PubsubMessage, storage_client: object) -> GCSFileChangeEvent | Malformed:
    """The event that a message tells.

    Anybody who may publish may say anything: what cannot be read fails alone.
    """
    try:
        return _read(message, storage_client)
    except Exception as error:  # noqa: BLE001  (what came may be of any shape)
        reason = f"cannot be read as a message of Cloud Storage: {type(error).__name__}: {error}"
        return Malformed(message, reason)


def _read(message: PubsubMessage, storage_client: object) -> GCSFileChangeEvent | Malformed:
    said = message.attributes
    if "eventType" not in said or "objectId" not in said:
        return Malformed(message, "without eventType and objectId, so no message of Cloud Storage")
    kind = GCSChangeStreamEventType(said["eventType"])
    return GCSFileChangeEvent(said["objectId"], kind, said, storage_client)


def _origin(item: object) -> str:
    if isinstance(item, GCSFileChangeEvent):
        return f"gs://{item.bucket_name}/{item.file_path}"
    return "a message of Cloud Storage"
