"""What a check found, as data: one line for each connection, credential, type and version.

A finding says what was looked at, how it is, and, where it is not well, how to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from buildflow_nb.core.primitive import Env

__all__ = ("Columned", "Columns", "Finding", "Health", "worst")


class Health(Enum):
    """How what was looked at is."""

    OK = "ok"
    WARNING = "warning"  # it works, or will work once something that is under way has happened
    ERROR = "error"


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


def worst(findings: Iterable[Finding]) -> Health:
    """How the worst of them is; nothing at all is well."""
    found = {finding.health for finding in findings}
    return next((h for h in (Health.ERROR, Health.WARNING) if h in found), Health.OK)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of what is there; with `exact` a sink takes elements of just these."""

    names: tuple[str, ...]
    exact: bool = False


@runtime_checkable
class Columned(Protocol):
    """A primitive with columns that can be looked at for next to nothing."""

    async def columns(self, env: Env) -> Columns | None:
        """The columns, `None` where nothing is there yet, or it has none."""
        ...
