"""Names of topics and subscriptions, and the error by which Pub/Sub says that there is none.

Source: Pub/Sub documentation, "Guidelines to name a topic, subscription, schema, or snapshot".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.api_core.exceptions import NotFound

from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Failure

__all__ = ("AUTO_NAME", "NotFound", "name_failures")

AUTO_NAME = AutoName("name", 255)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


def name_failures(what: str, inputs: Properties) -> Iterator[Failure]:
    """Names that Pub/Sub would reject."""
    name = inputs.text("name")
    if name is not None and (NAME.fullmatch(name) is None or name.startswith("goog")):
        reason = (
            f"{what} name {name!r}: Pub/Sub takes 3 to 255 letters, digits and any of -._~+%, "
            "beginning with a letter, but not with 'goog'"
        )
        yield Failure("name", reason)
