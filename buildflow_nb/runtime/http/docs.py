"""`/openapi.json` and `/docs`: Swagger UI from the files of swagger-ui-bundle, no CDN.

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

__all__ = ("DocsPage",)

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


class DocsPage:
    """The documents about the routes of a server; made when asked for, kept until one changes."""

    def __init__(self, title: str, routes: Iterable[Described]) -> None:
        self._title = title
        self._routes = routes
        self._made: dict[str, object] | None = None

    def changed(self) -> None:
        """Forget what was made: the routes are others now."""
        self._made = None

    def answer(self, path: str) -> web.Response | None:
        """The answer at a path, or None where there is none."""
        if path == "/openapi.json":
            document = {**self._document(), "servers": [{"url": "."}]}
            return json_response(msgspec.json.encode(document))
        if path in ("/docs", "/docs/"):
            folder = "docs/" if path == "/docs" else ""
            return _content(_PAGE.format(folder=folder).encode(), "text/html")
        name = path.removeprefix("/docs/")
        if name == path:
            return None
        if name == "openapi.json":
            document = {**one_version_down(self._document()), "servers": [{"url": ".."}]}
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
