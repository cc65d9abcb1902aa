"""A Pub/Sub subscription: a source of bytes, or of messages with their attributes.

Delivery is at least once, element by element; see `source.py`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from buildflow_nb.core.errors import DeclarationError, PermanentError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, Managed, PrimitiveId, Site, Source, Wire, label_of
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import CHECK_S, on_thread
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.gcp.clients import console_url, default_project, own_name, resolved_project
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.pubsub.client import PubSubClient, looked_at, messages, pubsub_address
from buildflow_nb.io.gcp.pubsub.look import look_into_subscription, purge_subscription
from buildflow_nb.io.gcp.pubsub.source import PubSubSource, Reading
from buildflow_nb.io.gcp.pubsub.topic import GCPPubSubTopic, check_name
from buildflow_nb.io.input_types import comes_from_elsewhere, never_becomes, only_of
from buildflow_nb.io.looks import seen
from buildflow_nb.types.gcp import PubsubMessage

__all__ = ("GCPPubSubSubscription", "PubSubSubscription")

ACK_DEADLINES_S = range(10, 601)  # RPC reference, "Subscription.ack_deadline_seconds"
RETENTIONS_S = (600, 31 * 24 * 3600)  # likewise, "message_retention_duration"
LEASE_S = 60  # longest that messages of a killed consumer stay hidden; leases are renewed
DELETED = "_deleted-topic_"  # RPC reference, "Subscription.topic"
DURATION = re.compile(r"\d+(\.\d{1,9})?s")


@dataclass(frozen=True, slots=True)
class GCPPubSubSubscription(Injectable):
    """The subscription `subscription_name` of a project, or of the stack's where that is None.

    The other fields are said with `options`.

    Raises:
        DeclarationError: Pub/Sub has no such names, deadlines or retention, or a field has another
            type.
    """

    cloud: ClassVar[str] = "gcp"
    shared: ClassVar[bool] = True
    max_pullers: ClassVar[int] = 8  # streams; each takes 10 MB a second at most on Google's side

    project_id: str | None
    subscription_name: str
    ack_deadline_seconds: int = field(default=600, kw_only=True)
    message_retention_duration: str = field(default="1200s", kw_only=True)
    enable_exactly_once_delivery: bool = field(default=False, kw_only=True)
    topic: GCPPubSubTopic | None = field(default=None, kw_only=True)
    batch_size: int = field(default=1000, kw_only=True)
    include_attributes: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        needed = ("subscription_name", "message_retention_duration")
        check_texts(self, needed, ("project_id",))
        check_name("GCPPubSubSubscription", self.subscription_name)
        wrong = self._wrong()
        if wrong:
            msg = f"GCPPubSubSubscription {self.subscription_name!r}: {wrong}"
            raise DeclarationError(msg)

    @classmethod
    def from_gcp_options(
        cls, gcp_options: object, *, topic: GCPPubSubTopic, subscription_name: str | None = None
    ) -> Self:
        """The subscription to a topic, in the project that options of a cloud provider name.

        Without a name it is one of the project's own, `buildflow_subscription_…`.

        Raises:
            DeclarationError: there is no name, and the options name no project to make one of.
        """
        project = default_project(gcp_options)
        name = subscription_name or own_name(cls.__name__, "buildflow_subscription", project)
        return cls(project, name, topic=topic)

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The subscription with this full name, `projects/…/subscriptions/…`.

        Raises:
            DeclarationError: Pub/Sub has no such names.
            ValueError: it is no such name.
        """
        _, project, _, name = resource_id.split("/")
        return cls(project, name)

    def options(  # noqa: PLR0913, PLR0917  (as in BuildFlow)
        self,
        ack_deadline_seconds: int = 600,
        message_retention_duration: str = "1200s",
        enable_exactly_once_delivery: bool = False,
        topic: GCPPubSubTopic | None = None,
        batch_size: int = 1000,
        include_attributes: bool = False,
    ) -> Self:
        """This subscription with other options.

        `ack_deadline_seconds`, `message_retention_duration` (as "1200s"),
        `enable_exactly_once_delivery` and the `topic` that it subscribes to are for the resource.
        `batch_size` is how many elements are pulled at once, at most; ten times as many may be
        leased to a consumer. With `include_attributes` elements are `PubsubMessage`s.
        """
        return replace(
            self,
            ack_deadline_seconds=ack_deadline_seconds,
            message_retention_duration=message_retention_duration,
            enable_exactly_once_delivery=enable_exactly_once_delivery,
            topic=topic,
            batch_size=batch_size,
            include_attributes=include_attributes,
        )

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the project where one is given."""
        name = self.subscription_name
        return PrimitiveId(f"{self.project_id}/{name}" if self.project_id else name)

    @property
    def label(self) -> str:
        """The subscription's name."""
        return self.subscription_name

    @property
    def source_wire(self) -> Wire:
        """The data of a message, or the message."""
        return Wire.OBJECT if self.include_attributes else Wire.BYTES

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter of this type, if anything is."""
        if self.include_attributes:
            return never_becomes(self, PubsubMessage, hint)
        if only_of(hint, (PubsubMessage,)):
            return (
                f"{label_of(self)} gives the data of messages alone; for PubsubMessage write "
                ".options(include_attributes=True)"
            )
        return comes_from_elsewhere(self, hint)

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[Source]:
        """Open a source; the subscription is met by the first pull."""
        client = self._client(env)
        lease_s = min(LEASE_S, self.ack_deadline_seconds)
        reading = Reading(lease_s, self.batch_size, self.include_attributes)
        async with PubSubSource(client, reading) as source:
            yield source

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the subscription is there, and its topic; nothing is pulled."""

        async def look(client: PubSubClient) -> str:
            known = messages()
            request = known.GetSubscriptionRequest(subscription=client.name)
            answer = known.Subscription
            found = await client.look("Subscriber/GetSubscription", request, answer, CHECK_S)
            if found.topic == DELETED:
                msg = f"{client.target} belongs to a topic that was deleted; %buildflow apply"
                raise PermanentError(msg)
            return "is there"

        return await looked_at(self, lambda: self._client(env), look)

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """How much waits in the subscription, and what; nothing is pulled (see `look.py`)."""

        async def look(empty: ResourceLook) -> ResourceLook:
            client = self._client(env)
            try:
                return await look_into_subscription(client, env, empty, asked)
            finally:
                await client.close()

        load = lambda: on_thread(messages)  # noqa: E731  (as a check has it)
        return await seen(self, "Pub/Sub subscription", look, load=load, within_s=asked.within_s)

    async def purge(self, env: Env) -> None:
        """Acknowledge all messages, unread.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us.
        """
        client = self._client(env)
        try:
            await purge_subscription(client)
        finally:
            await client.close()

    def cloud_console_url(self) -> str:
        """Where the subscription is in Google's console."""
        page = f"cloudpubsub/subscription/detail/{self.subscription_name}"
        return console_url(page, self.project_id)

    def parents(self) -> tuple[Managed, ...]:
        """The topic."""
        return () if self.topic is None else (self.topic,)

    def lacks(self) -> str:
        """The topic, where none is given."""
        return "give the topic, as .options(topic=…)" if self.topic is None else ""

    def billed(self) -> Billed:
        """What is delivered."""
        return Billed("gcp:pubsub/subscription:Subscription")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The subscription; gives `id` and `name`.

        Raises:
            DeclarationError: no topic is given.
        """
        from pulumi_gcp import pubsub

        if self.topic is None:
            msg = f"{label_of(self)}: {self.lacks()}"
            raise DeclarationError(msg)
        made = site.made(self.topic)
        subscription = pubsub.Subscription(
            self.primitive_id,  # with its "/": no project and no name has one, so no two meet
            name=self.subscription_name,
            topic=made["id"] if made else self.topic.topic_id_in(site.env),
            project=self.project_id,
            ack_deadline_seconds=self.ack_deadline_seconds,
            message_retention_duration=self.message_retention_duration,
            enable_exactly_once_delivery=self.enable_exactly_once_delivery,
            opts=site.gcp(self.project_id),
        )
        return {"id": subscription.id, "name": subscription.name}

    def _client(self, env: Env) -> PubSubClient:
        target = Target("subscription", self.subscription_name, env.stack_said)
        project = resolved_project(self.project_id, env, f"subscription {self.label!r}")
        name = f"projects/{project}/subscriptions/{self.subscription_name}"
        return PubSubClient(
            lambda: pubsub_address(env), target, "subscription", name, "roles/pubsub.subscriber"
        )

    def _wrong(self) -> str:
        """What is wrong with the options, if anything is."""
        if self.ack_deadline_seconds not in ACK_DEADLINES_S:
            return f"ack_deadline_seconds is 10 to 600, got {self.ack_deadline_seconds!r}"
        retention, (least, most) = self.message_retention_duration, RETENTIONS_S
        if not DURATION.fullmatch(retention) or not least <= float(retention[:-1]) <= most:
            return f'message_retention_duration is "{least}s" to "{most}s", got {retention!r}'
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            return f"batch_size is at least 1, got {self.batch_size!r}"
        if not isinstance(self.topic, GCPPubSubTopic | None):
            return f"topic is a GCPPubSubTopic, got {self.topic!r}"
        return ""


PubSubSubscription = GCPPubSubSubscription  # the name that BuildFlow's documents use
