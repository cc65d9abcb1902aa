"""The scope of a request as ASGI describes it (asgi.readthedocs.io, HTTP 2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import hdrs

if TYPE_CHECKING:
    from starlette.types import Scope

    from buildflow_nb.runtime.http.request import BoundedRequest

__all__ = ("scope_of",)

_OF_PACKED = (b"content-encoding", b"content-length")  # that tell of what is unpacked here


def scope_of(bounded: BoundedRequest, values: Mapping[str, str]) -> Scope:
    """The scope, in whose headers a body that comes unpacked does not say that it is packed."""
    path, _, query = bounded.raw_path.partition("?")
    if not path.startswith("/"):
        path = bounded.rel_url.raw_path  # a proxy's absolute form
    packed = hdrs.CONTENT_ENCODING in bounded.headers
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": f"{bounded.version.major}.{bounded.version.minor}",
        "method": bounded.method,
        "scheme": bounded.scheme,
        "path": unquote(path),
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query.partition("#")[0].encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": [
            (name.lower(), value)
            for name, value in bounded.raw_headers
            if not (packed and name.lower() in _OF_PACKED)
        ],
        "client": _address(bounded, "peername"),
        "server": _address(bounded, "sockname"),
        "path_params": dict(values),
        "state": {},
        "extensions": {},
    }


def _address(bounded: BoundedRequest, name: str) -> tuple[str, int | None] | None:
    found: Any = bounded.get_extra_info(name)
    if isinstance(found, tuple):
        return str(found[0]), int(found[1])
    return (str(found), None) if found else None
