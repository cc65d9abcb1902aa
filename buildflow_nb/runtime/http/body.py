"""A body as text: how long it may be, its charset, and the fields of a form."""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import hdrs, web

from buildflow_nb.runtime.http.errors import HttpError, details

__all__ = ("BODY_LIMIT", "BODY_S", "form_fields", "in_utf8")

BODY_LIMIT = 16 * 1024 * 1024  # bytes; `held.py` bounds many of them
BODY_S = 300.0  # seconds for a body to arrive: 16 MiB over half a megabit a second
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
_BOM = b"\xef\xbb\xbf"


def in_utf8(request: web.BaseRequest, body: bytes) -> bytes:
    """The body in UTF-8 without a byte order mark, whatever charset its content type names.

    Raises:
        HttpError: it is not in that charset, or it is multipart.
    """
    named = request.headers.get(hdrs.CONTENT_TYPE, JSON_TYPE)
    if named == JSON_TYPE and not body.startswith(_BOM):
        return body
    if request.content_type.startswith("multipart/"):
        msg = "multipart bodies are not read here; send JSON or an urlencoded form"
        raise HttpError(415, msg)
    charset = (request.charset or "utf-8").lower()
    if charset in ("utf-8", "utf8", "us-ascii", "ascii"):
        return body.removeprefix(_BOM)
    try:
        return body.decode(charset).encode()
    except LookupError as error:
        raise HttpError(415, f"charset {charset!r} is not known; send UTF-8") from error
    except UnicodeError as error:
        raise HttpError(422, details(error, ["body"])) from error


def form_fields(request: web.BaseRequest, body: bytes) -> dict[str, list[str]] | None:
    """The fields of an urlencoded form; None where the body is something else.

    Raises:
        HttpError: the form is no text, or has too many fields.
    """
    if request.content_type != FORM_TYPE:
        return None
    try:
        return parse_qs(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=1000,  # aiohttp's own limit for forms
        )
    except ValueError as error:
        raise HttpError(422, details(error, ["body"])) from error
