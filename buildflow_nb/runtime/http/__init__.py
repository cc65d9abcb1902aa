"""HTTP: one server, and a unit for each collector and endpoint.

Importing this loads aiohttp; import it when something is to be served, not before.
"""

from __future__ import annotations

from buildflow_nb.runtime.http.route import HttpRoute
from buildflow_nb.runtime.http.server import Server

__all__ = ("HttpRoute", "Server")
