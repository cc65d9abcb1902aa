"""What errors of Snowflake's client mean here.

Source: Snowflake documentation, "SQL error codes"; snowflake-connector-python, errorcode.py.
"""

from __future__ import annotations

from buildflow_nb.core.errors import (
    BuildFlowError,
    ConversionError,
    DeniedError,
    PermanentError,
    TemporaryError,
    told,
)

__all__ = ("ABSENT", "element_faults", "fault_of")

ABSENT = 2003  # an object does not exist, or may not be seen
MOST_SAID = 300  # letters of what the server says
# A value that is none of its column's type, too long, out of range, or missing.
_ELEMENTS = frozenset({100035, 100038, 100040, 100046, 100069, 100072, 100078, 100080, 100132})
_DENIED = range(390100, 390450)  # of a login, its key, its role
_UNREACHED = frozenset({250001, 250002, 250003, 250005, 250006, 252005, 253002})
_PASSING = frozenset({604, 625, 630, 90073, 90082, 390114, 390195})


def element_faults(error: BaseException) -> bool:
    """Whether a value did not fit its column."""
    return getattr(error, "errno", None) in _ELEMENTS


def fault_of(error: Exception, where: str) -> BuildFlowError:
    """The error that says what to do about one of the client's; `where` names the table."""
    from snowflake.connector import errors

    code = getattr(error, "errno", None)
    reason = " ".join((getattr(error, "raw_msg", None) or told(error)).split())[:MOST_SAID]
    if code in _ELEMENTS:
        return ConversionError(f"{where}: {reason}")
    if code in _PASSING or code in _UNREACHED:
        return TemporaryError(f"{where} cannot be reached or written for now: {reason}")
    if code in _DENIED:
        return DeniedError(f"{where}: {reason}; look at user and private_key, and their grants")
    lost = (errors.OperationalError, errors.InterfaceError, errors.ServiceUnavailableError, OSError)
    if isinstance(error, lost):
        return TemporaryError(f"{where} cannot be reached or written for now: {reason}")
    return PermanentError(f"{where}: {reason}")
