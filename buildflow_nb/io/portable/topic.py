"""A topic: what is published reaches every subscription."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.portable import Role
from buildflow_nb.core.primitive import Env, PrimitiveId
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.portable.provider import nothing_there, provider_of

__all__ = ("Topic", "topic_and_subscription")


@dataclass(frozen=True)
class Topic(Injectable):
    """The topic `topic_id` of Pub/Sub on gcp and local, read by a subscription of its own.

    Raises:
        DeclarationError: the id is no text.
    """

    cloud: ClassVar[str] = "agnostic"

    topic_id: str

    def __post_init__(self) -> None:
        check_texts(self, ("topic_id",), ())

    @property
    def primitive_id(self) -> PrimitiveId:
        """The topic's id."""
        return PrimitiveId(self.topic_id)

    def placed(self, env: Env, role: Role) -> tuple[object, ...]:
        """The topic to write, the subscription to read, both to manage.

        Raises:
            DeclarationError: nobody said which cloud, or it has no topics that can be read here.
        """
        owner = f"Topic {self.topic_id!r}"
        if provider_of(owner, env) == "aws":
            raise nothing_there(owner, env, "take a Queue, which is one consumer's")
        return topic_and_subscription(self.topic_id, role)


def topic_and_subscription(name: str, role: Role) -> tuple[object, ...]:
    """A topic and the subscription `{name}_subscription`, as a role needs them."""
    from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic

    topic = GCPPubSubTopic(None, name)
    subscription = GCPPubSubSubscription(None, f"{name}_subscription", topic=topic)
    return {"source": (subscription,), "managed": (topic, subscription)}.get(role, (topic,))
