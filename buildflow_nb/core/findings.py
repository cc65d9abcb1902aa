"""What a check found, as data: one line for each connection, credential, type and version.

A finding says what was looked at, how it is, and, where it is not well, how to mend it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ("SHAPES", "Columns", "Finding", "Health", "counted", "told", "worst")


class Health(Enum):
    """How what was looked at is."""

    OK = "ok"
    WARNING = "warning"  # it works, or will work once something that is under way has happened
    ERROR = "error"


# How each is told: by a shape and a word, besides a colour where there are colours.
SHAPES = {Health.OK: "✓", Health.WARNING: "▲", Health.ERROR: "✕"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: "SQSQueue orders", "credentials", "type of price".

    `said` is how it is, `cure` what to do about it, "" where nothing needs to be done. Neither
    ever holds the value of a secret. `role` is "source" or "sink" where it matters for one alone.
    """

    subject: str
    health: Health
    said: str
    cure: str = ""
    role: str = ""

    @classmethod
    def of_error(cls, subject: str, error: Exception) -> Finding:
        """What an error of ours says: what is wrong; and behind the last semicolon, the cure."""
        said, _, cure = str(error).rpartition("; ")
        return cls(subject, Health.ERROR, said, cure) if said else cls(subject, Health.ERROR, cure)


def worst(findings: Iterable[Finding]) -> Health:
    """How the worst of them is; nothing at all is well."""
    found = {finding.health for finding in findings}
    return next((h for h in (Health.ERROR, Health.WARNING) if h in found), Health.OK)


def counted(findings: Iterable[Finding]) -> str:
    """How many are how: "12 ok, 1 warning, 2 errors"."""
    counts = Counter(finding.health for finding in findings)
    parts = [
        f"{counts[health]} {health.value}{'s' if many and counts[health] > 1 else ''}"
        for health, many in ((Health.OK, False), (Health.WARNING, True), (Health.ERROR, True))
        if counts[health]
    ]
    return ", ".join(parts) or "nothing to look at"


def told(findings: Iterable[Finding]) -> str:
    """All of them as plain text, each with its cure below."""
    rows = []
    for one in findings:
        rows.append(f"{SHAPES[one.health]} {one.health.value:<7}  {one.subject}: {one.said}")
        if one.cure:
            rows.append(f"             → {one.cure}")
    return "\n".join(rows)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of what is there; with `exact` a sink takes elements of just these."""

    names: tuple[str, ...]
    exact: bool = False
