"""What errors of ClickHouse's client mean here.

Source: ClickHouse, src/Common/ErrorCodes.cpp.
"""

from __future__ import annotations

import re

from buildflow_nb.core.errors import (
    BuildFlowError,
    ConversionError,
    DeniedError,
    PermanentError,
    TemporaryError,
    told,
)

__all__ = ("NO_DATABASE", "NO_TABLE", "code_of", "fault_of")

NO_TABLE, NO_DATABASE = 60, 81
MOST_SAID = 300  # letters of what the server says
# Of a value that does not fit its column, or a constraint.
_ELEMENTS = frozenset({6, 27, 53, 117, 131, 321, 349, 407, 469, 691})
_DENIED = frozenset({192, 193, 194, 497, 516})
# Timeouts, too many queries or parts, memory, a table that is read only for now, no keeper, a disk
# without room (243, or one that cannot be written, 75).
_PASSING = frozenset({75, 159, 164, 202, 203, 209, 210, 236, 241, 242, 243, 252, 319, 999})
_FULL_DISK = re.compile(r"Cannot reserve|No space left on device", re.IGNORECASE)
_CODE = re.compile(r"[Cc]ode:\s*(\d+)")
# Where it stood when it found that out: a file of its own, and a step of its pipeline.
_WHEREABOUTS = re.compile(r":?\s*\(in file/uri [^)]*\)?|:\s*While executing\b.*$", re.DOTALL)
_REASON = re.compile(r"DB::Exception:\s*(.*?)(?:\s*\(for url|\s*\([A-Z_]+\)|$)", re.DOTALL)


def code_of(error: BaseException) -> int:
    """The number of an error; 0 where it has none."""
    found = _CODE.search(str(error))
    return int(found[1]) if found else 0


def fault_of(error: Exception, where: str) -> BuildFlowError:
    """The error that says what to do about one of the client's; `where` names the table."""
    from clickhouse_connect.driver.exceptions import OperationalError

    code, reason = code_of(error), _reason(error)
    full = _FULL_DISK.search(str(error)) is not None  # under the number of whatever it happened in
    if code in _ELEMENTS and not full:
        return ConversionError(f"{where}: {reason}")
    if code in _DENIED:
        return DeniedError(f"{where}: {reason}; look at username and password, and their grants")
    if full or code in _PASSING or (code == 0 and isinstance(error, (OperationalError, OSError))):
        return TemporaryError(f"{where} cannot be reached or written for now: {reason}")
    if code == NO_DATABASE:
        return PermanentError(f"{where}: {reason}; make it: CREATE DATABASE")
    return PermanentError(f"{where}: {reason}")


def _reason(error: Exception) -> str:
    """What the server said, in one line and without the address."""
    text = str(error)
    found = _REASON.search(text)
    line = _WHEREABOUTS.sub("", found[1] if found else told(error))
    return " ".join(line.split())[:MOST_SAID].rstrip(".")
