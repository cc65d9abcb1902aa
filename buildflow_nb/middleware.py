"""Middleware under BuildFlow's names: starlette's own classes, which people know.

    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example.com"])
    app.add_middleware(SessionMiddleware)

    @app.middleware("http")
    async def timed(request, call_next):
        response = await call_next(request)
        response.headers["X-Served-By"] = "shop"
        return response

What is added last is the outermost. Sessions are kept in a cookie that is signed, not encrypted.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache
from secrets import token_urlsafe
from typing import Any

from starlette.middleware import Middleware, sessions
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.surroundings import kernel

__all__ = (
    "CORSMiddleware",
    "GZipMiddleware",
    "HTTPSRedirectMiddleware",
    "Middleware",
    "SessionMiddleware",
    "TrustedHostMiddleware",
)

SECRET_VARIABLE = "BUILDFLOW_SESSION_SECRET"  # noqa: S105  (the name of it)
SHORTEST = 16  # characters of a key: fewer can be tried out, which is told

_CURE = (
    f"set {SECRET_VARIABLE} to what "
    "python -c 'import secrets; print(secrets.token_urlsafe(32))' prints"
)
_LOGGER = logging.getLogger("buildflow_nb.run")


class SessionMiddleware(sessions.SessionMiddleware):
    """Starlette's: `request.session`, kept in a signed cookie.

    `secret_key` is text or a `Secret`; without it the environment variable
    `BUILDFLOW_SESSION_SECRET` counts. A notebook that has neither makes one for as long as its
    kernel lives. All other words are starlette's.

    Raises:
        UsageError: there is no key.
    """

    def __init__(self, app: ASGIApp, secret_key: Secret | str | None = None, **words: Any) -> None:
        super().__init__(app, _key(secret_key), **words)

    @staticmethod
    def for_replicas(words: Mapping[str, Any]) -> dict[str, Any]:
        """The words of one in another process, with the key that counts in this one.

        Raises:
            UsageError: there is no key.
        """
        return {**words, "secret_key": Secret(_key(words.get("secret_key")))}


def _key(given: Secret | str | None) -> str:
    text = given.reveal() if isinstance(given, Secret) else given
    text = os.environ.get(SECRET_VARIABLE) if text is None else str(text)
    if text is None and kernel() is not None:
        return _key_of_kernel()
    if not text:
        msg = f"SessionMiddleware has no key to sign sessions with; {_CURE}"
        raise UsageError(msg)
    if len(text) < SHORTEST:
        _LOGGER.warning(
            "sessions are signed with a key of fewer than %d characters, which can be guessed; %s",
            SHORTEST,
            _CURE,
        )
    return text


@cache
def _key_of_kernel() -> str:
    _LOGGER.warning(
        "sessions are signed with a key of this kernel alone, and end with it; set %s to keep them",
        SECRET_VARIABLE,
    )
    return token_urlsafe(32)
