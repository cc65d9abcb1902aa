"""Who is let in: whoever has a session's token, and files by an address with a signature.

It stands before every route but the login, so that a route of fakesnow's that looks at no token is
not open either. A body that is too long is refused before it is read, and while it is.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ("LOGIN", "MOST_LOGIN_BYTES", "SIGNATURE", "Guard", "Signatures", "unpacked")

LOGIN, FILES, QUERY = "/session/v1/login-request", "/fs_bucket/", "/queries/v1/query-request"
SIGNATURE = "signature"
MOST_LOGIN_BYTES, MOST_QUERY_BYTES, MOST_FILE_BYTES = 1 << 20, 64 << 20, 1 << 30
NO_TOKEN = "390103"  # noqa: S105  (session token not found)
_TOKEN_BEGINS, _TOKEN_ENDS = 'Snowflake Token="', '"'


class Signatures:
    """Signatures of paths, by a key that this process has made."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, path: str) -> str:
        """The signature of a path, as it stands in an address."""
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()


class Guard:
    """An application behind which nobody gets without a token or a signature."""

    def __init__(
        self, behind: ASGIApp, signatures: Signatures, known: Callable[[str], bool]
    ) -> None:
        self._behind = behind
        self._signatures = signatures
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        request = Request(scope)
        path = str(scope["path"])  # unlike that of `request.url`, whole
        if path != LOGIN and not self._allowed(request, path):
            await _refused(401, "Session token not found in the request data.")(
                scope, receive, send
            )
            return
        most = MOST_FILE_BYTES if path.startswith(FILES) else MOST_QUERY_BYTES
        if path == LOGIN:
            most = MOST_LOGIN_BYTES
        said = request.headers.get("Content-Length", "0")
        if not said.isdigit() or int(said) > most:
            await _refused(413, f"a body of more than {most} bytes")(scope, receive, send)
            return
        await self._behind(scope, _bounded(receive, most), send)

    def _allowed(self, request: Request, path: str) -> bool:
        if path.startswith(FILES):
            given = request.query_params.get(SIGNATURE, "")
            right = self._signatures.of(quote(path))
            return hmac.compare_digest(given.encode(), right.encode())
        given = request.headers.get("Authorization", "")
        token = given.removeprefix(_TOKEN_BEGINS).removesuffix(_TOKEN_ENDS)
        return given.startswith(_TOKEN_BEGINS) and self._known(token)


def unpacked(body: bytes, most: int) -> bytes:
    """A body that is packed by gzip.

    Raises:
        ValueError: it is none, or longer than `most` bytes.
    """
    found = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        made = found.decompress(body, most)
    except zlib.error as error:
        msg = f"no gzip: {error}"
        raise ValueError(msg) from None
    if found.unconsumed_tail or not found.eof:
        msg = f"a body of more than {most} bytes"
        raise ValueError(msg)
    return made


def _bounded(receive: Receive, most: int) -> Receive:
    """The body up to so many bytes; then whoever sends it is taken for gone."""
    left = most

    async def next_part() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return next_part


def _refused(status: int, why: str) -> JSONResponse:
    said = {"data": None, "code": NO_TOKEN, "message": why, "success": False, "headers": None}
    return JSONResponse(said, status_code=status)
