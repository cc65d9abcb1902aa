"""A Pub/Sub topic: a sink for bytes, with attributes where the elements are messages.

Delivery is at least once and in order; see `sink.py`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Site, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import CHECK_S, on_thread
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.gcp.clients import console_url, default_project, own_name, resolved_project
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.pubsub.client import PubSubClient, looked_at, messages, pubsub_address
from buildflow_nb.io.gcp.pubsub.look import look_into_topic
from buildflow_nb.io.gcp.pubsub.sink import PubSubSink
from buildflow_nb.io.looks import seen

__all__ = ("GCPPubSubTopic", "PubSubTopic", "check_name")

# Pub/Sub documentation, "Create a topic", section "Resource names".
LEGAL_NAME = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


@dataclass(frozen=True, slots=True)
class GCPPubSubTopic(Injectable):
    """The topic `topic_name` of a project, or of the stack's project where that is None.

    Raises:
        DeclarationError: a field is no text, or Pub/Sub has no such names.
    """

    cloud: ClassVar[str] = "gcp"
    sink_wire: ClassVar[Wire] = Wire.BYTES  # the data of a message
    # Messages: five requests, one of which is made while another is sent.
    max_push: ClassVar[int] = 5_000
    linger_s: ClassVar[float] = 0.0  # under load requests fill by themselves

    project_id: str | None
    topic_name: str

    def __post_init__(self) -> None:
        check_texts(self, ("topic_name",), ("project_id",))
        check_name("GCPPubSubTopic", self.topic_name)

    @classmethod
    def from_gcp_options(cls, gcp_options: object, topic_name: str | None = None) -> Self:
        """The topic in the project that options of a cloud provider name.

        Without a name it is one of the project's own, `buildflow_topic_…`.

        Raises:
            DeclarationError: there is no name, and the options name no project to make one of.
        """
        project = default_project(gcp_options)
        return cls(project, topic_name or own_name(cls.__name__, "buildflow_topic", project))

    @property
    def topic_id(self) -> str:
        """The full name, `projects/…/topics/…`.

        Raises:
            DeclarationError: the topic names no project.
        """
        return self.topic_id_in(Env())

    def topic_id_in(self, env: Env) -> str:
        """The full name in a stack.

        Raises:
            DeclarationError: neither the topic nor the stack names a project.
        """
        project = resolved_project(self.project_id, env, f"GCPPubSubTopic {self.topic_name!r}")
        return f"projects/{project}/topics/{self.topic_name}"

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the project where one is given."""
        return PrimitiveId(
            f"{self.project_id}/{self.topic_name}" if self.project_id else self.topic_name
        )

    @property
    def label(self) -> str:
        """The topic's name."""
        return self.topic_name

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[Sink]:  # noqa: ARG002
        """Open a sink; the topic is met by the first push."""
        async with PubSubSink(self._client(env)) as sink:
            yield sink

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the topic is there; nothing is published."""

        async def look(client: PubSubClient) -> str:
            known = messages()
            request = known.GetTopicRequest(topic=client.name)
            await client.look("Publisher/GetTopic", request, known.Topic, CHECK_S)
            return "is there"

        return await looked_at(self, lambda: self._client(env), look)

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """Who has subscribed to the topic; nothing is published, and a topic shows no messages."""

        async def look(empty: ResourceLook) -> ResourceLook:
            client = self._client(env)
            try:
                return await look_into_topic(client, empty, asked)
            finally:
                await client.close()

        load = lambda: on_thread(messages)  # noqa: E731  (as a check has it)
        return await seen(self, "Pub/Sub topic", look, load=load, within_s=asked.within_s)

    def cloud_console_url(self) -> str:
        """Where the topic is in Google's console."""
        return console_url(f"cloudpubsub/topic/detail/{self.topic_name}", self.project_id)

    def billed(self) -> Billed:
        """What is published."""
        return Billed("gcp:pubsub/topic:Topic")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The topic; gives `id` and `name`."""
        from pulumi_gcp import pubsub

        topic = pubsub.Topic(
            self.primitive_id,  # with its "/": no project and no name has one, so no two meet
            name=self.topic_name,
            project=self.project_id,
            opts=site.gcp(self.project_id),
        )
        return {"id": topic.id, "name": topic.name}

    def _client(self, env: Env) -> PubSubClient:
        target = Target("topic", self.topic_name, env.stack_said)
        name = self.topic_id_in(env)
        return PubSubClient(
            lambda: pubsub_address(env), target, "topic", name, "roles/pubsub.publisher"
        )


def check_name(owner: str, name: str) -> None:
    """Raises a `DeclarationError` for a name that Pub/Sub has not; `owner` opens the message."""
    if not LEGAL_NAME.fullmatch(name):
        msg = (
            f"{owner} {name!r}: a name has 3 to 255 letters, digits and '-._~+%', begins with a "
            "letter, and not with 'goog'"
        )
        raise DeclarationError(msg)


PubSubTopic = GCPPubSubTopic  # the name that BuildFlow's documents use
