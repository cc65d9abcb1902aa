"""Shapes that stand beside words: drawn by the style sheet, a character where there is none.

A shape never stands alone: its word says the same, so it is hidden from screen readers.
"""

from __future__ import annotations

from buildflow_nb.cockpit.views.formats import NOTHING
from buildflow_nb.core.status.snapshot import State

__all__ = ("KINDS", "STATES", "icon", "kind_of", "symbol")

# name: the character that stands for it where no style sheet is
_CHARACTERS = {
    "run": "●",
    "wait": "◐",
    "fail": "▲",
    "gone": "✕",
    "stop": "■",
    "done": "✓",
    "none": "○",
    "drift": "◆",
    "drop": NOTHING,
    "busy": "◌",
}
STATES = {
    State.PENDING: "none",
    State.STARTING: "busy",
    State.RUNNING: "run",
    State.WAITING: "wait",
    State.DRAINING: "busy",
    State.DONE: "done",
    State.STOPPED: "stop",
    State.FAILED: "gone",
}
# class of a primitive: its picture, and what people call it
KINDS = {
    "SQSQueue": ("queue", "SQS"),
    "GCPPubSubSubscription": ("queue", "Pub/Sub"),
    "GCPPubSubTopic": ("topic", "Pub/Sub topic"),
    "S3Bucket": ("bucket", "S3"),
    "GCSBucket": ("bucket", "Cloud Storage"),
    "S3FileChangeStream": ("bucket", "changes of S3"),
    "GCSFileChangeStream": ("bucket", "changes of Cloud Storage"),
    "BigQueryTable": ("table", "BigQuery"),
    "BigQueryDataset": ("db", "BigQuery dataset"),
    "SnowflakeTable": ("table", "Snowflake"),
    "PostgresTable": ("table", "Postgres"),
    "CloudSQLTable": ("table", "Cloud SQL"),
    "ClickhouseTable": ("table", "ClickHouse"),
    "DuckDBTable": ("db", "DuckDB"),
    "DuckDBQuery": ("db", "DuckDB"),
    "File": ("file", "file"),
    "LocalFileChangeStream": ("file", "folder"),
    "Pulse": ("time", "pulse"),
    "Empty": ("drop", "dropped"),
}


def icon(name: str, tone: str = "") -> str:
    """A shape, coloured by a tone ("ok", "warn", "err", "info", "mute")."""
    return f'<i class="i {name} {tone}" aria-hidden="true">{_CHARACTERS[name]}</i>'


def kind_of(class_name: str) -> tuple[str, str]:
    """The picture of a primitive's class, and what people call it."""
    return KINDS.get(class_name, ("db", class_name))


def symbol(name: str) -> str:
    """A picture of a kind of thing: "queue", "topic", "bucket", "table", "db", "file", "route"."""
    return f'<i class="k {name}" aria-hidden="true"></i>'
