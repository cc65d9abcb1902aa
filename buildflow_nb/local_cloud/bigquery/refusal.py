"""How this BigQuery says no: a status, a reason and a message, as Google's does.

Source: BigQuery documentation, "Error messages" (the table of reasons and their HTTP codes).
"""

from __future__ import annotations

from typing import Any

import duckdb

__all__ = (
    "RefusedError",
    "duplicate",
    "invalid",
    "invalid_query",
    "not_found",
    "not_served",
    "of_engine",
)


class RefusedError(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def proto(self) -> dict[str, Any]:
        """What a job's `errorResult` says."""
        return {"reason": self.reason, "message": str(self)}

    @property
    def body(self) -> dict[str, Any]:
        """What an HTTP answer says."""
        one = {"domain": "global", **self.proto}
        return {"error": {"code": self.status, "message": str(self), "errors": [one]}}


def not_found(what: str) -> RefusedError:
    """Something is not there ("Dataset p:d")."""
    return RefusedError(404, "notFound", f"Not found: {what}")


def duplicate(what: str) -> RefusedError:
    """Something is there already ("Table p:d.t")."""
    return RefusedError(409, "duplicate", f"Already Exists: {what}")


def invalid(message: str) -> RefusedError:
    """A request that is wrong."""
    return RefusedError(400, "invalid", message)


def invalid_query(message: str) -> RefusedError:
    """SQL that is wrong."""
    return RefusedError(400, "invalidQuery", message)


def not_served(what: str) -> RefusedError:
    """Something that Google's BigQuery does and this one does not."""
    return RefusedError(501, "notImplemented", f"the local cloud's BigQuery does not serve {what}")


def of_engine(error: duckdb.Error) -> RefusedError:
    """What DuckDB's refusal of a query means."""
    text = str(error).split("\n\nLINE ")[0]
    return invalid_query(" ".join(text.split()))
