"""A queue of the stack's cloud: what is put in is worked on once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.portable import Role
from buildflow_nb.core.primitive import Env, PrimitiveId
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.portable.provider import provider_of
from buildflow_nb.io.portable.topic import topic_and_subscription

__all__ = ("Queue",)


@dataclass(frozen=True)
class Queue(Injectable):
    """The queue `queue_id`: an `SQSQueue` on aws and local; on gcp a topic with one subscription.

    Raises:
        DeclarationError: the id is no text.
    """

    cloud: ClassVar[str] = "agnostic"

    queue_id: str

    def __post_init__(self) -> None:
        check_texts(self, ("queue_id",), ())

    @property
    def primitive_id(self) -> PrimitiveId:
        """The queue's id."""
        return PrimitiveId(self.queue_id)

    def placed(self, env: Env, role: Role) -> tuple[object, ...]:
        """The queue that it is on this stack.

        Raises:
            DeclarationError: nobody said which cloud, or it has no such names.
        """
        if provider_of(f"Queue {self.queue_id!r}", env) == "gcp":
            return topic_and_subscription(self.queue_id, role)
        from buildflow_nb.io.aws import SQSQueue

        return (SQSQueue(self.queue_id),)
