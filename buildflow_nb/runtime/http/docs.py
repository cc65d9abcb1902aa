"""`/openapi.json` and `/docs`: Swagger UI from the files of swagger-ui-bundle, no CDN.

A service with a base route of its own has both below that, too, with its endpoints alone.

Every link of the page is relative, and so is the address under which the document says the API is:
both work behind any path prefix (jupyter-server-proxy). The page may load nothing from elsewhere,
and says so to the browser. The bundle's Swagger UI 4 shows OpenAPI 3.0 but not 3.1, so the page
reads the same document one version down.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec
from aiohttp import hdrs, web

from buildflow_nb.runtime.http.openapi import Described, describe_api, one_version_down
from buildflow_nb.runtime.http.response import SERVER_NAME, json_response

__all__ = ("DocsPages",)

_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_START = """\
window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", document.currentScript.src).href,
  dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
});
"""
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><title>API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{folder}swagger-ui.css">
<link rel="icon" type="image/png" href="{folder}favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{folder}swagger-ui-bundle.js"></script>
<script src="{folder}start.js"></script>
</body>
</html>
"""
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; "
    # A notebook of this machine shows it in a frame; "Execute" is for no page of elsewhere.
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
)


class DocsPages:
    """The documents about the routes of a server; made when asked for, kept until one changes."""

    def __init__(self, title: str, routes: Iterable[Described]) -> None:
        self._routes = routes
        self._whole = _Page(title, routes, depth=0)
        self._of_bases: dict[str, _Page] | None = None

    def changed(self) -> None:
        """Forget what was made: the routes are others now."""
        self._whole.changed()
        self._of_bases = None

    def answer(self, path: str) -> web.Response | None:
        """The answer at a path, or None where there is none."""
        for base, page in self._pages().items():
            found = page.answer(path.removeprefix(base)) if path.startswith(f"{base}/") else None
            if found is not None:
                return found
        return self._whole.answer(path)

    def _pages(self) -> dict[str, _Page]:
        """The pages of services, by base route."""
        if self._of_bases is None:
            found: dict[str, list[Described]] = {}
            for route in self._routes:
                base = getattr(route.spec, "base_route", "/")
                if base != "/" and "{" not in base:
                    found.setdefault(base, []).append(route)
            self._of_bases = {
                base: _Page(_services(routes), routes, depth=base.count("/"))
                for base, routes in found.items()
            }
        return self._of_bases


def _services(routes: Iterable[Described]) -> str:
    names = {getattr(route.spec, "service_id", ""): None for route in routes}
    return ", ".join(names)


class _Page:
    """The documents about some routes, so many levels below the server's root."""

    def __init__(self, title: str, routes: Iterable[Described], depth: int) -> None:
        self._title = title
        self._routes = routes
        self._depth = depth
        self._made: dict[str, object] | None = None

    def changed(self) -> None:
        """Forget what was made."""
        self._made = None

    def answer(self, path: str) -> web.Response | None:
        """The answer at a path below its own level, or None where there is none."""
        if path == "/openapi.json":
            root = "/".join([".."] * self._depth) or "."
            document = {**self._document(), "servers": [{"url": root}]}
            return json_response(msgspec.json.encode(document))
        if path in ("/docs", "/docs/"):
            folder = "docs/" if path == "/docs" else ""
            return _content(_PAGE.format(folder=folder).encode(), "text/html")
        name = path.removeprefix("/docs/")
        if name == path:
            return None
        if name == "openapi.json":
            root = "/".join([".."] * (self._depth + 1))
            document = {**one_version_down(self._document()), "servers": [{"url": root}]}
            return json_response(msgspec.json.encode(document))
        if name == "start.js":
            return _content(_START.encode(), "text/javascript")
        return _content(_bundled(name), _FILES[name]) if name in _FILES else None

    def _document(self) -> dict[str, object]:
        if self._made is None:
            self._made = describe_api(self._title, list(self._routes))
        return self._made


def _content(body: bytes, kind: str) -> web.Response:
    headers = {
        hdrs.CONTENT_TYPE: kind if kind.startswith("image") else f"{kind}; charset=utf-8",
        hdrs.SERVER: SERVER_NAME,
        hdrs.CACHE_CONTROL: "no-cache" if kind == "text/html" else "max-age=3600",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=body, headers=headers)


@cache
def _bundled(name: str) -> bytes:
    import swagger_ui_bundle

    content: bytes = (swagger_ui_bundle.swagger_ui_path / name).read_bytes()
    return content
