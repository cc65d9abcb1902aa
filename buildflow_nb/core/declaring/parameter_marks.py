"""Marks that say where a route's parameter comes from, and what its value must be like.

A mark stands where the default would (`name: str = Form()`) or inside `Annotated[str, Form()]`; the
first form carries the default of its own. What they mean is FastAPI's. `buildflow_nb.requests` has
the functions that make them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args, get_origin

from buildflow_nb.core.errors import DeclarationError

__all__ = ("BOUNDS", "REQUIRED", "Mark", "ParameterSource", "unmarked", "with_bounds")

REQUIRED: Any = ...
BOUNDS = ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern", "multiple_of")


class ParameterSource(enum.Enum):
    """Where a parameter comes from."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    FIELDS = "fields"  # a record made of the query, for methods without a body
    BODY = "body"
    RAW = "raw"
    FORM = "form"
    FILE = "file"
    REQUEST = "request"
    SOCKET = "websocket"
    MESSAGES = "messages"  # of a WebSocket, decoded


@dataclass(frozen=True, slots=True)
class Mark:
    """What a parameter says of itself; `bounds` are names of `BOUNDS` with their values."""

    source: ParameterSource
    default: Any = REQUIRED
    default_factory: Callable[[], Any] | None = None
    alias: str | None = None
    bounds: tuple[tuple[str, Any], ...] = ()
    title: str | None = None
    description: str | None = None
    examples: tuple[Any, ...] = ()
    deprecated: bool = False
    include_in_schema: bool = True
    convert_underscores: bool = True
    embed: bool = False
    media_type: str | None = None

    @property
    def word(self) -> str:
        """How people write it: `Form()`."""
        return f"{self.source.value.capitalize()}()"

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED and self.default_factory is None

    def name(self, parameter: str) -> str:
        """What the value is called in a request."""
        if self.alias is not None:
            return self.alias
        dashed = self.source is ParameterSource.HEADER and self.convert_underscores
        return parameter.replace("_", "-") if dashed else parameter


def unmarked(name: str, hint: Any, default: Any, owner: str) -> tuple[Any, Any, Mark | None]:
    """A parameter's annotation and default (`REQUIRED`: none) without the mark, and the mark.

    Raises:
        DeclarationError: it has two marks, or two defaults.
    """
    marks = []
    if get_origin(hint) is Annotated:
        plain, *rest = get_args(hint)
        marks = [one for one in rest if isinstance(one, Mark)]
        if marks:
            rest = [one for one in rest if not isinstance(one, Mark)]
            hint = Annotated[(plain, *rest)] if rest else plain
    if isinstance(default, Mark):
        marks.append(default)
    if not marks:
        return hint, default, None
    if len(marks) > 1:
        words = " and ".join(mark.word for mark in marks)
        msg = f"{owner}: {name!r} is marked with {words}; keep one of them"
        raise DeclarationError(msg)
    mark = marks[0]
    if mark is default:
        return hint, mark.default, mark
    if mark.default is not REQUIRED:
        msg = f"{owner}: {name!r} has its default inside Annotated; write it after '='"
        raise DeclarationError(msg)
    return hint, default, replace(mark, default=default)


def with_bounds(hint: Any, mark: Mark | None) -> Any:
    """The annotation with the mark's bounds, as pydantic reads them."""
    if mark is None or not mark.bounds:
        return hint
    import pydantic

    words: Mapping[str, Any] = dict(mark.bounds)
    return Annotated[Any if hint is None else hint, pydantic.Field(**words)]
