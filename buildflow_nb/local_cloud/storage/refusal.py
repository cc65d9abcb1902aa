"""How the front says no: an exception here, Google's JSON error for the client.

Source: Cloud Storage JSON API v1, "HTTP status and error codes".
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from buildflow_nb.core.errors import BuildFlowError

__all__ = (
    "RefusedError",
    "invalid",
    "no_such_bucket",
    "not_found",
    "not_here",
    "precondition_failed",
    "refusal",
)


class RefusedError(BuildFlowError):
    """A request that is answered with an error status."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


def refusal(status: int, reason: str, message: str) -> web.Response:
    """The answer by which Cloud Storage refuses; clients show its message."""
    one = {"domain": "global", "reason": reason, "message": message}
    error = {"code": status, "message": message, "errors": [one]}
    return web.json_response({"error": error}, status=status)


def invalid(message: str) -> RefusedError:
    """Say that a request is wrong in itself."""
    return RefusedError(HTTPStatus.BAD_REQUEST, "invalid", message)


def not_found(message: str) -> RefusedError:
    """Say that something does not exist."""
    return RefusedError(HTTPStatus.NOT_FOUND, "notFound", message)


def no_such_bucket(bucket: str) -> RefusedError:
    """Say that a bucket does not exist."""
    return not_found(f"The specified bucket does not exist: {bucket!r}.")


def precondition_failed(message: str) -> RefusedError:
    """Say that something was changed since the client looked at it."""
    return RefusedError(HTTPStatus.PRECONDITION_FAILED, "conditionNotMet", message)


def not_here(message: str) -> RefusedError:
    """Say that Cloud Storage can do this and the local one cannot; clients do not try it again."""
    return RefusedError(HTTPStatus.NOT_IMPLEMENTED, "notImplemented", message)
