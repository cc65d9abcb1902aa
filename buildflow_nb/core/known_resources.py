"""Primitives for cloud resources that nobody declares any more, by what the stack's state has.

A plan deletes what was applied and is declared no longer. What is lost by that is asked of the
resource itself, through the primitive that could have made it: a state knows the engine's type of a
resource and its provider's id. Names of primitives stand here as text, since nothing below a flow
knows connectors; they are loaded when there is something to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.resource_look import Lookable

__all__ = ("HOLDING", "billed_of", "holder_of")

# The engine's types of resources that hold something which is lost with them, what that is, and
# the primitive whose `of_resource(id)` gives one to ask.
HOLDING: Mapping[str, tuple[str, str]] = {
    "aws:sqs/queue:Queue": ("messages", "buildflow_nb.io.aws:SQSQueue"),
    "aws:s3/bucket:Bucket": ("objects", "buildflow_nb.io.aws:S3Bucket"),
    "gcp:storage/bucket:Bucket": ("objects", "buildflow_nb.io.gcp:GCSBucket"),
    "gcp:pubsub/subscription:Subscription": (
        "messages",
        "buildflow_nb.io.gcp:GCPPubSubSubscription",
    ),
    "gcp:bigquery/table:Table": ("rows", "buildflow_nb.io.gcp:BigQueryTable"),
    "gcp:sql/database:Database": ("rows", "buildflow_nb.io.gcp:CloudSQLDatabase"),
    "gcp:sql/databaseInstance:DatabaseInstance": (
        "databases",
        "buildflow_nb.io.gcp:CloudSQLInstance",
    ),
    "snowflake:index/table:Table": ("rows", ""),
}


def holder_of(kind: str, resource_id: str) -> Lookable | None:
    """A primitive for a resource of the engine's type `kind`; None where there is none to ask."""
    _, home = HOLDING.get(kind, ("", ""))
    if not home or not resource_id:
        return None
    module, _, name = home.partition(":")
    try:
        made: Any = getattr(import_module(module), name).of_resource(resource_id)
    except (ImportError, DeclarationError, ValueError):
        return None
    return made if isinstance(made, Lookable) else None


def billed_of(kind: str, name: str) -> Billed:
    """What a cloud bills for a resource of this type and name, as far as these tell."""
    return Billed(kind, {"fifo": True} if name.endswith(".fifo") else {})
