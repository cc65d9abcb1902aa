"""Requests under BuildFlow's names: starlette's own classes, and marks of parameters as FastAPI's.

    @app.endpoint("/photos/{album}", method="POST")
    async def add(
        album: str,
        title: Annotated[str, Form(max_length=80)],
        photo: UploadFile,
        token: str = Header(),
    ) -> str: ...

A mark says where the parameter comes from and bounds what it may be. It stands where the default
would, and takes that as its first argument, or inside `Annotated`. All of them take `alias`, the
name in the request; `default_factory`; the bounds `gt`, `ge`, `lt`, `le`, `multiple_of` of numbers
and `min_length`, `max_length`, `pattern` of texts and lists; and what `/docs` shows: `title`,
`description`, `examples`, `deprecated`, `include_in_schema`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, Unpack, cast

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from buildflow_nb.core.declaring.parameter_marks import BOUNDS, REQUIRED, Mark, ParameterSource

__all__ = (
    "Body",
    "ClientDisconnect",
    "Cookie",
    "File",
    "Form",
    "Header",
    "Path",
    "Query",
    "Request",
    "UploadFile",
    "WebSocket",
    "WebSocketDisconnect",
)


class _Words(TypedDict, total=False):
    default_factory: Callable[[], Any]
    alias: str
    title: str
    description: str
    gt: float
    ge: float
    lt: float
    le: float
    multiple_of: float
    min_length: int
    max_length: int
    pattern: str
    examples: list[Any]
    deprecated: bool
    include_in_schema: bool


# They are declared to give anything, so that `name: str = Form()` is well typed.


def Path(default: Any = REQUIRED, **words: Unpack[_Words]) -> Any:  # noqa: N802  (FastAPI's name)
    """A part of the path, which the route must name."""
    return _mark(ParameterSource.PATH, default, words)


def Query(default: Any = REQUIRED, **words: Unpack[_Words]) -> Any:  # noqa: N802
    """A field of the query; a list takes every one of its name, a record is made of all fields."""
    return _mark(ParameterSource.QUERY, default, words)


def Header(  # noqa: N802
    default: Any = REQUIRED, *, convert_underscores: bool = True, **words: Unpack[_Words]
) -> Any:
    """A header; `user_agent` is `User-Agent`, unless underscores are not to be converted."""
    return _mark(ParameterSource.HEADER, default, words, convert_underscores=convert_underscores)


def Cookie(default: Any = REQUIRED, **words: Unpack[_Words]) -> Any:  # noqa: N802
    """A cookie."""
    return _mark(ParameterSource.COOKIE, default, words)


def Body(  # noqa: N802
    default: Any = REQUIRED,
    *,
    embed: bool = False,
    media_type: str = "application/json",
    **words: Unpack[_Words],
) -> Any:
    """The JSON body; with `embed` a member of it, also where it is the only parameter."""
    return _mark(ParameterSource.BODY, default, words, embed=embed, media_type=media_type)


def Form(default: Any = REQUIRED, **words: Unpack[_Words]) -> Any:  # noqa: N802
    """A field of the form that is the body; a record is made of all its fields."""
    return _mark(ParameterSource.FORM, default, words)


def File(default: Any = REQUIRED, **words: Unpack[_Words]) -> Any:  # noqa: N802
    """A file of the form, as `UploadFile` or, where it is small, as `bytes`; or a list of them."""
    return _mark(ParameterSource.FILE, default, words)


def _mark(source: ParameterSource, default: Any, words: _Words, **more: Any) -> Any:
    given = cast("dict[str, Any]", words)
    bounds = tuple((name, given.pop(name)) for name in BOUNDS if given.get(name) is not None)
    if given.get("examples") is not None:
        given["examples"] = tuple(given["examples"])
    return Mark(source, default, bounds=bounds, **given, **more)
