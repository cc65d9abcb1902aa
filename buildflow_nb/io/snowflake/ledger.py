"""How far each writer's pushes into a table are: rows of the table `BUILDFLOW_PUSHES` beside it.

A row says how many elements of a writer are dealt with, and which of these were at fault, with the
reasons: a push that is repeated tells of the same faults, or they would be lost with the process
that was told first. Reasons stand once for all their elements, so that a row fits in a statement;
of the faults the last `MOST_FAULTS` are kept, which is more than one push has elements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import PushId
from buildflow_nb.io.partial_push import Failures
from buildflow_nb.io.snowflake.client import Account

__all__ = ("Ledger", "Progress")

LEDGER = "BUILDFLOW_PUSHES"
MOST_FAULTS, MOST_REASONS, MOST_LETTERS = 50_000, 100, 300
OTHERS = "at fault when it was pushed first"  # in place of reasons beyond `MOST_REASONS`


@dataclass(frozen=True, slots=True)
class Noted:
    """How many elements of a writer are dealt with, and the faults of these, by their number."""

    done: int
    faults: Mapping[int, str]


class Ledger:
    """The notes about one table, over one cursor."""

    def __init__(self, cursor: Any, account: Account) -> None:
        self._run = cursor.execute
        self._name = f"{account.place}.{LEDGER}"
        self._target = account.table

    def make(self) -> None:
        """Make the table where it is missing, and the column that older ones lack."""
        columns = "WRITER VARCHAR, TARGET VARCHAR, DONE NUMBER, FAULTS VARCHAR"
        self._run(f"CREATE TABLE IF NOT EXISTS {self._name} ({columns})")
        self._run(f"ALTER TABLE {self._name} ADD COLUMN IF NOT EXISTS FAULTS VARCHAR")

    def read(self, writer: str) -> Noted:
        """What is noted of a writer."""
        sql = f"SELECT DONE, FAULTS FROM {self._name} WHERE WRITER = %s AND TARGET = %s"  # noqa: S608
        rows = self._run(sql, (writer, self._target)).fetchall()
        found = [Noted(int(done), _faults(text)) for done, text in rows]
        return max(found, key=lambda noted: noted.done, default=Noted(0, {}))

    def note(self, writer: str, noted: Noted) -> None:
        """Note it, in place of what was; in the transaction that the connection is in."""
        where = "WHERE WRITER = %s AND TARGET = %s"
        self._run(f"DELETE FROM {self._name} {where}", (writer, self._target))  # noqa: S608
        sql = f"INSERT INTO {self._name} (WRITER, TARGET, DONE, FAULTS) VALUES (%s, %s, %s, %s)"  # noqa: S608
        self._run(sql, (writer, self._target, noted.done, _text(noted.faults)))


class Progress:
    """How far a push is: up to the position `behind` its elements are written, or in `failed`.

    It begins behind what was noted of its writer, with the faults that were told then.
    """

    def __init__(self, ledger: Ledger, push: PushId, count: int, failed: Failures) -> None:
        self._ledger = ledger
        self._push = push
        self._failed = failed
        noted = ledger.read(push.writer)
        self._earlier = dict(noted.faults)
        self.behind = min(max(noted.done - push.first, 0), count)
        for number, reason in noted.faults.items():
            if 0 <= number - push.first < self.behind:
                failed[number - push.first] = ConversionError(reason)

    def note(self, behind: int) -> None:
        """Note that it is done up to there; in the transaction that writes it."""
        first = self._push.first
        told = {first + at: str(error) for at, error in self._failed.items() if at < behind}
        self._ledger.note(self._push.writer, Noted(first + behind, self._earlier | told))


def _faults(text: str | None) -> dict[int, str]:
    reasons: dict[str, list[int]] = json.loads(text) if text else {}
    return {number: reason for reason, numbers in reasons.items() for number in numbers}


def _text(faults: Mapping[int, str]) -> str | None:
    reasons: dict[str, list[int]] = {}
    for number in sorted(faults)[-MOST_FAULTS:]:
        reason = faults[number][:MOST_LETTERS]
        if reason not in reasons and len(reasons) >= MOST_REASONS:
            reason = OTHERS
        reasons.setdefault(reason, []).append(number)
    return json.dumps(reasons) if reasons else None
