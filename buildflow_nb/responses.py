"""Responses under BuildFlow's names: starlette's own classes, which people know.

An endpoint returns one where a value in JSON is not what it wants to say: another status, headers,
cookies, a page, a file, a stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import TYPE_CHECKING

from starlette import responses as starlette
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

if TYPE_CHECKING:
    from starlette.background import BackgroundTask
    from starlette.responses import ContentStream

__all__ = (
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
)


class StreamingResponse(starlette.StreamingResponse):
    """Starlette's, whose sync iterables run on threads of the endpoint's, and are closed there."""

    def __init__(
        self,
        content: ContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, media_type, background)
        self.iterable = None if isinstance(content, AsyncIterable) else content
        """What is not async."""
