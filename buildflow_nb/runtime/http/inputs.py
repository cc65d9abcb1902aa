"""What a route's code needs of a request before it is called: its body, its form, the request.

Starlette is loaded only for code that needs something of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.runtime.http.code import RouteCode
from buildflow_nb.runtime.http.request import BoundedRequest

__all__ = ("at_once", "received")


def at_once(code: RouteCode, request: BoundedRequest) -> bytes | None:
    """The body, where the code needs no more and all of it is at hand; None where it is received.

    Raises:
        HttpError: it is too long, or there is no room for it.
    """
    binding = code.binding
    if binding.reads_form or binding.takes_request:
        return None
    if not binding.reads_body:
        return b""
    kept = binding.gives_request or code.needs_request or request.asgi is not None
    return None if kept else request.at_hand()


async def received(code: RouteCode, request: BoundedRequest, values: Mapping[str, str]) -> bytes:
    """The body, if the code takes it; a form is left at the request.

    Raises:
        HttpError: it is too long, too slow or broken, or there is no room for it.
        ConnectionError: the client has left.
    """
    binding = code.binding
    if binding.reads_form:
        from buildflow_nb.runtime.http.asgi import request_of
        from buildflow_nb.runtime.http.forms import fields_of

        found = await fields_of(request_of(request, values), request, binding.read_files)
        request.form = found
        return b""
    if request.asgi is not None and binding.reads_body:  # there is middleware, which may change it
        return await request.asgi.whole_body()
    if binding.takes_request:
        return await request.body_for(binding)
    if binding.gives_request or code.needs_request:
        return await request.read()
    return await request.take()
