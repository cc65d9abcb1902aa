"""What a stream of changes says of a row of a Postgres table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ("PostgresChange", "PostgresChangeType")


class PostgresChangeType(Enum):
    """What happened to a row, or to a whole table."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"


@dataclass(slots=True)
class PostgresChange:
    """A row came, changed or went; `table` is its full name ("public.orders").

    `row` is the row as it is now, None where it is gone. `old` is what Postgres tells of the row as
    it was: of one that went its key, of one that changed its key if that changed; with REPLICA
    IDENTITY FULL the whole row. `unchanged` names the columns that `row` lacks, since they are
    large, did not change, and Postgres does not send them then.

    `position` is where in the log its transaction ended, `transaction` the id of that.
    """

    kind: PostgresChangeType
    table: str
    row: Mapping[str, Any] | None = None
    old: Mapping[str, Any] | None = None
    unchanged: tuple[str, ...] = ()
    position: str = field(default="", compare=False)
    transaction: int = field(default=0, compare=False)
    committed_at: dt.datetime | None = field(default=None, compare=False)
