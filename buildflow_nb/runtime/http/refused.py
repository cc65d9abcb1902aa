"""Requests that were refused for what the user's own type did with them.

A value that a type does not take is the client's to mend: it is answered with 422 and forgotten, so
that strangers cannot flood the list of failures. A type that breaks over a value (a `KeyError` in a
validator, a division in `__post_init__`) is the user's to mend: that request is kept, and answered
with 500, as when the code that is called breaks.
"""

from __future__ import annotations

from aiohttp import web

from buildflow_nb.core.conversion.secret_fields import MASK
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.observability.failures import Fault

__all__ = ("refused_by_a_fault",)

_ORDINARY = (ValueError, TypeError, RecursionError, ConversionError)


def refused_by_a_fault(
    error: BaseException, request: web.BaseRequest, body: bytes, origin: str, *, secret: bool
) -> Fault | None:
    """The failure to keep, if binding failed by the user's code; `secret` ones show nothing."""
    at_fault: BaseException | None = error
    if isinstance(error, HttpError):
        at_fault = error.__cause__ if isinstance(error.__cause__, ConversionError) else None
    root = at_fault
    while root is not None and root.__cause__ is not None and root.__cause__ is not root:
        root = root.__cause__
    if at_fault is None or (isinstance(error, HttpError) and isinstance(root, _ORDINARY)):
        return None
    if secret:
        return Fault(MASK, ConversionError(f"a value raised {type(root).__name__}"), 1, origin)
    element = body.decode(errors="replace") if body else request.path_qs
    return Fault(element, at_fault, 1, origin)
