"""Requests that were refused for what the user's own type did with them.

A value that a type does not take is the client's to mend: it is answered with 422 and forgotten, so
that strangers cannot flood the list of failures. A type that breaks over a value (a `KeyError` in a
validator, a division in `__post_init__`) is the user's to mend: that request is kept, and answered
with 500, as when the code that is called breaks.
"""

from __future__ import annotations

from aiohttp import web

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.secret_fields import MASK
from buildflow_nb.runtime.http.fault import HttpFault
from buildflow_nb.runtime.kept import Fault

__all__ = ("refused_by_a_fault",)

_ORDINARY = (ValueError, TypeError, RecursionError, ConversionError, HttpFault)


def refused_by_a_fault(
    refusal: HttpFault, request: web.BaseRequest, body: bytes, origin: str, *, secret: bool
) -> Fault | None:
    """The failure to keep, if the user's code is at fault; `secret` ones show nothing of it."""
    error, root = refusal.__cause__, refusal.__cause__
    while root is not None and root.__cause__ is not None:
        root = root.__cause__
    if error is None or isinstance(root, _ORDINARY):
        return None
    if secret:
        return Fault(MASK, ConversionError(f"a value raised {type(root).__name__}"), 1, origin)
    element = body.decode(errors="replace") if body else request.path_qs
    return Fault(element, error, 1, origin)
