"""HTTP: one server, and a unit for each collector and endpoint.

Importing this loads aiohttp; import it when something is to be served, not before.
"""

from __future__ import annotations

from buildflow_nb.core.declaring.websocket_parameters import WEBSOCKET
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.route import HttpRoute
from buildflow_nb.runtime.http.server import Server

__all__ = ("HttpRoute", "Server", "route_class")


def route_class(spec: RouteSpec) -> type[HttpRoute]:
    """The class of the unit that serves a route."""
    if spec.method != WEBSOCKET:
        return HttpRoute
    from buildflow_nb.runtime.http.websocket_route import WebSocketRoute  # loads starlette

    return WebSocketRoute
