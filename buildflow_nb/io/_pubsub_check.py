"""What the checks of topics and subscriptions share: a connection of its own, closed again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import label_of
from buildflow_nb.io._check import looked
from buildflow_nb.io._pubsub_link import PubSubLink

__all__ = ("looked_at",)

LOOK_ROLE = "roles/pubsub.viewer"


async def looked_at(
    primitive: object,
    connect: Callable[[], PubSubLink],
    look: Callable[[PubSubLink], Awaitable[str]],
) -> list[Finding]:
    """What a look through a link said, or why it could not, as one finding."""
    try:
        link = connect()
    except BuildFlowError as error:  # no project is known
        said, _, cure = str(error).partition("; ")
        return [Finding(label_of(primitive), Health.ERROR, said, cure)]
    try:
        return await looked(primitive, lambda: look(link), load=link.open, unseen=LOOK_ROLE)
    finally:
        await link.close()
