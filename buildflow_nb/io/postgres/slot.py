"""A place in Postgres's log that Postgres keeps for one reader.

The publication is made before the slot: Postgres looks it up as it was at each change. A slot holds
the log back from where its reader is, on the server's disk, for as long as it exists.

Source: PostgreSQL documentation, "Logical Decoding", "Replication Management Functions".
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import PermanentError
from buildflow_nb.io.postgres.columns import quoted
from buildflow_nb.io.postgres.errors import state_of
from buildflow_nb.io.postgres.pgoutput import position_text
from buildflow_nb.io.postgres.target import TAKEN
from buildflow_nb.io.postgres.text_values import SETTINGS

__all__ = ("Slot", "drop_all", "log_end")

_LOGGER = logging.getLogger(__name__)
PAGE = 2_000  # messages of a round that are fetched at once

NOT_READY = "55000"  # object_not_in_prerequisite_state


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot `name` and its publication of `tables`, given by schema and name."""

    name: str
    publication: str
    tables: Sequence[tuple[str, str]]

    async def find(self, connection: Any) -> int | None:
        """Where the slot is; None if it is not there.

        Raises:
            PermanentError: Postgres has thrown away what was left.
        """
        for name, value in SETTINGS.items():
            await connection.execute("SELECT set_config($1, $2, false)", name, value)
        found = await connection.fetchrow(
            "SELECT wal_status, confirmed_flush_lsn - '0/0'::pg_lsn AS position "
            "FROM pg_replication_slots WHERE slot_name = $1",
            self.name,
        )
        if found is not None and found["wal_status"] == "lost":
            msg = (
                f"Postgres has thrown away changes that the slot {self.name} had not read yet; "
                "drop it (PostgresChanges.drop), and copy the table anew"
            )
            raise PermanentError(msg)
        return None if found is None else int(found["position"])

    async def make(self, connection: Any, lost: int | None) -> None:
        """Make the slot; where there was one before, changes since the position `lost` are lost.

        Raises:
            PermanentError: this server decodes no changes.
        """
        try:
            await connection.execute(
                "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", self.name
            )
        except Exception as error:
            if state_of(error) in ("42710", *TAKEN):
                return
            if state_of(error) == NOT_READY:
                msg = (
                    f"this Postgres decodes no changes ({getattr(error, 'message', error)}); set "
                    "wal_level=logical and restart it, or on Cloud SQL the flag "
                    "cloudsql.logical_decoding"
                )
                raise PermanentError(msg) from error
            raise
        if lost is not None:
            _LOGGER.warning(
                "slot %s was gone, and is made anew; changes since %s of the log, where it was "
                "done, are lost: compare the tables, or copy them anew",
                self.name,
                position_text(lost),
            )

    async def messages(self, connection: Any, most: int, until: int) -> AsyncGenerator[list[bytes]]:
        """What is in the log from where the slot is, page by page, in whole transactions.

        It ends once it has `most` changes, or at the position `until`.
        """
        query = (
            "SELECT data FROM pg_logical_slot_peek_binary_changes($1, $2::text::pg_lsn, $3, "
            "'proto_version', '1', 'publication_names', $4)"
        )
        async with connection.transaction():
            values = (self.name, position_text(until), most, quoted(self.publication))
            cursor = await connection.cursor(query, *values)
            while rows := await cursor.fetch(PAGE):
                yield [row[0] for row in rows]

    async def advance(self, connection: Any, position: int) -> None:
        """Let everything before a position go."""
        await connection.execute(
            "SELECT pg_replication_slot_advance($1, $2::text::pg_lsn)",
            self.name,
            position_text(position),
        )


async def log_end(connection: Any) -> int:
    """Where the log ends that is safe on the disk."""
    found = await connection.fetchval("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")
    return int(found)


async def drop_all(connection: Any, publication: str) -> int:
    """Drop a publication and the slots whose names begin with its; gives how many slots."""
    rows = await connection.fetch(
        "SELECT slot_name, pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE starts_with(slot_name::text, $1) AND database = current_database()",
        f"{publication}_",
    )
    await connection.execute(f"DROP PUBLICATION IF EXISTS {quoted(publication)}")
    return len(rows)
