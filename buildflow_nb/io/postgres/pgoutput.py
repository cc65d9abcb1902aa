"""Reads what Postgres's own output plugin says of changes, message by message.

Source: PostgreSQL documentation, "Logical Replication Message Formats", protocol version 1. Values
come as text, as the session's settings write it. A relation is described before its first change
in every round, and again when it is altered, so names and types are always those of the change.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Malformed
from buildflow_nb.io.postgres.text_values import parser_of
from buildflow_nb.types.postgres import PostgresChange, PostgresChangeType

__all__ = ("Begin", "Commit", "Decoder", "position_text")

EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
KINDS = {
    b"I": PostgresChangeType.INSERT,
    b"U": PostgresChangeType.UPDATE,
    b"D": PostgresChangeType.DELETE,
}
_UNCHANGED = object()
_NEW, _KEY, _TEXT, _NULL = b"NKtn"


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins, which was committed at `position` in the log."""

    position: int
    transaction: int
    committed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction is over; what comes after it begins at `end`."""

    position: int
    end: int


@dataclass(frozen=True, slots=True)
class _Relation:
    name: str
    columns: tuple[tuple[str, Any], ...]  # names, and what reads their values


def position_text(position: int) -> str:
    """A position in the log as Postgres writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


class Decoder:
    """Decodes the messages of a round, in their order."""

    def __init__(self) -> None:
        self._relations: dict[int, _Relation] = {}
        self._stamp: tuple[str, int, dt.datetime | None] = ("", 0, None)

    def decode(self, message: bytes) -> Iterator[Begin | Commit | PostgresChange | Malformed]:
        """What a message says: nothing, a border of a transaction, or changes.

        Raises:
            PermanentError: it is no message of this protocol.
        """
        kind = message[:1]
        if kind in KINDS:
            yield self._change(KINDS[kind], message)
            return
        reading = _Reading(message)
        if kind == b"B":
            position, at, transaction = reading.take(">qqi")
            begun = Begin(position, transaction & 0xFFFFFFFF, EPOCH + dt.timedelta(microseconds=at))
            self._stamp = (position_text(position), begun.transaction, begun.committed_at)
            yield begun
        elif kind == b"C":
            _, position, end, _ = reading.take(">bqqq")
            yield Commit(position, end)
        elif kind == b"R":
            self._describe(reading)
        elif kind == b"T":
            yield from self._truncate(reading)
        elif kind not in (b"O", b"Y", b"M"):  # an origin, a type, a message of an application
            msg = f"Postgres sent a change of the unknown kind {kind!r}"
            raise PermanentError(msg)

    def _describe(self, reading: _Reading) -> None:
        (number,) = reading.take(">I")
        schema, table = reading.text(), reading.text()
        _, count = reading.take(">bh")
        columns = []
        for _ in range(count):
            reading.take(">b")
            name = reading.text()
            kind, _ = reading.take(">Ii")
            columns.append((name, parser_of(kind)))
        self._relations[number] = _Relation(f"{schema}.{table}", tuple(columns))

    def _change(self, kind: PostgresChangeType, message: bytes) -> PostgresChange | Malformed:
        relation = self._relations[int.from_bytes(message[1:5])]
        old: dict[str, Any] | None = None
        row: dict[str, Any] | None = None
        keyed = False
        faults: list[str] = []
        at = 5  # behind the kind and the number
        while at < len(message):
            part = message[at]
            values, at = _values(relation, message, at + 1, faults)
            if part == _NEW:
                row = values
            else:
                old, keyed = values, part == _KEY
        if keyed and old is not None:  # of other columns than those of the key it has nothing
            old = {name: value for name, value in old.items() if value is not None}
        unchanged = _fill(row, old)
        found = PostgresChange(kind, relation.name, row, old, unchanged, *self._stamp)
        if faults:
            return Malformed(found, f"table {relation.name}, {faults[0]}")
        return found

    def _truncate(self, reading: _Reading) -> Iterator[PostgresChange]:
        count, _ = reading.take(">ib")
        for _ in range(count):
            (number,) = reading.take(">I")
            name = self._relations[number].name
            yield PostgresChange(PostgresChangeType.TRUNCATE, name, None, None, (), *self._stamp)


class _Reading:
    """Takes a message apart, from its second byte on; its numbers are of the network's order."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 1

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self._message, self._at)
        self._at += struct.calcsize(form)
        return found

    def text(self) -> str:
        end = self._message.index(0, self._at)
        found = self._message[self._at : end].decode()
        self._at = end + 1
        return found


def _values(
    relation: _Relation, message: bytes, at: int, faults: list[str]
) -> tuple[dict[str, Any], int]:
    """The values of a row by name, and where they end; those that Python does not have are noted.

    It is what a change costs, so it takes the message apart by hand.
    """
    found: dict[str, Any] = {}
    at += 2  # past their count, which the relation has, too
    for name, parse in relation.columns:
        kind = message[at]
        at += 1
        if kind == _TEXT:
            end = at + 4 + int.from_bytes(message[at : at + 4])
            text = message[at + 4 : end].decode()
            at = end
            if parse is None:
                found[name] = text
                continue
            try:
                found[name] = parse(text)
            except (ValueError, OverflowError, ArithmeticError) as error:
                found[name] = text
                faults.append(f"column {name!r}: {error}")
        else:
            found[name] = None if kind == _NULL else _UNCHANGED
    return found, at


def _fill(row: dict[str, Any] | None, old: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Take what was not sent from the old row, or out of the new one; gives the names of those."""
    if row is None:
        return ()
    left = []
    for name in [name for name, value in row.items() if value is _UNCHANGED]:
        if old is not None and old.get(name) is not None:
            row[name] = old[name]
        else:
            del row[name]
            left.append(name)
    return tuple(left)
