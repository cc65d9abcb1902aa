"""What topics and subscriptions share: legal names, and a look through a connection of its own.

Names: Pub/Sub documentation, "Create a topic", section "Resource names".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from buildflow_nb.core.errors import BuildFlowError, DeclarationError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import label_of
from buildflow_nb.io.checks import looked
from buildflow_nb.io.gcp.pubsub.client import PubSubClient

__all__ = ("check_name", "looked_at")


LEGAL_NAME = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


def check_name(owner: str, name: str) -> None:
    """Raises a `DeclarationError` for a name that Pub/Sub has not; `owner` opens the message."""
    if not LEGAL_NAME.fullmatch(name):
        msg = (
            f"{owner} {name!r}: a name has 3 to 255 letters, digits and '-._~+%', begins with a "
            "letter, and not with 'goog'"
        )
        raise DeclarationError(msg)


LOOK_ROLE = "roles/pubsub.viewer"


async def looked_at(
    primitive: object,
    connect: Callable[[], PubSubClient],
    look: Callable[[PubSubClient], Awaitable[str]],
) -> list[Finding]:
    """What a look through a client said, or why it could not, as one finding."""
    try:
        client = connect()
    except BuildFlowError as error:  # no project is known
        said, _, cure = str(error).partition("; ")
        return [Finding(label_of(primitive), Health.ERROR, said, cure)]
    try:
        return await looked(primitive, lambda: look(client), load=client.open, unseen=LOOK_ROLE)
    finally:
        await client.close()
