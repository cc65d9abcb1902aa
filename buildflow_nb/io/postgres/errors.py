"""What an error of Postgres or of its client means for a processor: an element, for now, for good.

SQLSTATE classes: PostgreSQL documentation, appendix A. What an error says of an element's values
(its DETAIL, the words of a trigger) is left out, since a value may be secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from buildflow_nb.core.errors import (
    BuildFlowError,
    ConversionError,
    DeniedError,
    PermanentError,
    TemporaryError,
    told,
)

__all__ = ("ABSENT", "CLIENT_FAULTS", "element_fault", "fault", "read_fault", "row_of", "state_of")

# What the client raises for a value that its codec does not take.
CLIENT_FAULTS = (TypeError, ValueError, OverflowError, AttributeError, KeyError, ArithmeticError)
CONNECTION = (ConnectionError, TimeoutError)
READ_ONLY = "25006"
ABSENT = "42P01"  # a table, which somebody may be about to make
SAME_KEY = "21000"  # two rows of a statement have one key in Postgres's eyes
RAISED = "P0001"  # by a trigger, in words of its own
_ELEMENT = ("22", "23", RAISED)
_PASSES = ("08", "40", "53", "55006", "55P03", "57", "58030", "25006")
_CURES: Mapping[str, str] = {
    "28": "look at the user and the password",
    "3D": "create it, or name another database",
    "3F": "create the schema, or name another one",
    "42501": "grant it, or connect as another user",
}
_ROW = re.compile(r"COPY .*, line (\d+)(?:, column ([^:\n]+))?")

_RAISED_BY = re.compile(r"PL/pgSQL function (\S+\(\)) line \d+ at RAISE")


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error, "" where it has none."""
    return getattr(error, "sqlstate", None) or ""


def is_element_fault(error: BaseException) -> bool:
    """Whether a statement failed for the values that it was given."""
    state = state_of(error)
    if state:
        return state.startswith(_ELEMENT) or state == SAME_KEY
    return isinstance(error, CLIENT_FAULTS)


def element_fault(error: BaseException) -> ConversionError | None:
    """The error of the elements that a statement was given; None where they are not at fault."""
    if not is_element_fault(error):
        return None
    if state_of(error) == RAISED:
        by = _RAISED_BY.search(getattr(error, "context", None) or "")
        return ConversionError(f"a trigger refused it{f' ({by[1]})' if by else ''}")
    found = _ROW.search(getattr(error, "context", None) or "")
    column = getattr(error, "column_name", None) or (found[2] if found else None)
    opening = f"column {column!r}: " if column else ""
    return ConversionError(f"{opening}{_said(error)}")


def row_of(error: BaseException) -> int | None:
    """The row of a COPY, from 0, at which it failed; None where that is not known."""
    found = _ROW.search(getattr(error, "context", None) or "")
    return int(found[1]) - 1 if found else None


def fault(error: BaseException, where: str) -> BuildFlowError:
    """The error to raise for one that is no element's; `where` names the database."""
    if isinstance(error, BuildFlowError):
        return error
    state, said = state_of(error), _said(error)
    if not state:
        return _unreached(error, where)
    if state == ABSENT:
        return TemporaryError(f"Postgres {where}: {said} (yet); what makes it?")
    if state.startswith(_PASSES):
        return TemporaryError(f"Postgres {where}: {said}")
    cures = (cure for known, cure in _CURES.items() if state.startswith(known))
    cure = next(cures, "")
    msg = f"Postgres {where}: {said}{'; ' if cure else ''}{cure}"
    return DeniedError(msg) if state == "42501" else PermanentError(msg)


def read_fault(error: BaseException, where: str) -> BuildFlowError:
    """The error to raise for one of reading; one that is not Postgres's ends it for good."""
    if state_of(error) == READ_ONLY:
        return PermanentError(f"{_said(error)}; a query only reads")
    client = type(error).__module__.startswith("asyncpg")
    if client or state_of(error) or isinstance(error, (BuildFlowError, *CONNECTION)):
        return fault(error, where)
    kind, said = type(error).__name__, told(error)
    return PermanentError(kind if said == kind else f"{kind}: {said}")


def _unreached(error: BaseException, where: str) -> BuildFlowError:
    """The error of a connection that is not there, or not any more."""
    if isinstance(error, TimeoutError):
        return TemporaryError(f"Postgres {where} gave no answer in time")
    if isinstance(error, OSError):
        reason = error.strerror or told(error)
        return TemporaryError(f"Postgres {where} cannot be reached: {reason}; does it run?")
    kind = type(error).__name__
    if kind == "ClientConfigurationError":
        return PermanentError(f"Postgres {where}: {told(error)}; look at its URL")
    if kind == "UnsupportedClientFeatureError":
        return PermanentError(f"Postgres {where}: {told(error)}")
    return TemporaryError(f"Postgres {where}: {told(error)}")


def _said(error: BaseException) -> str:
    return " ".join(str(getattr(error, "message", None) or told(error)).split())
