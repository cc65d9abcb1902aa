"""What a check found, as data: one line for each connection, credential, type and version.

A finding says what was looked at, how it is, and, where it is not well, how to mend it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ("Finding", "Health")


class Health(Enum):
    """How what was looked at is."""

    OK = "ok"
    WARNING = "warning"  # it works, or will work once something that is under way has happened
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: "SQSQueue orders", "credentials", "type of price".

    `said` is how it is, `cure` what to do about it, "" where nothing needs to be done. Neither
    ever holds the value of a secret.
    """

    subject: str
    health: Health
    said: str
    cure: str = ""
