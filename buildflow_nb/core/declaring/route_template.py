"""A route as written (`/items/{id}`), taken apart: literal segments, parameters, a rest.

A parameter may stand for a whole segment or a part of one (`/report.{year:int}`); it never
reaches over a `/`, except `{name:path}` at the end, which takes all that is left. Kinds other
than `path` (`str`, `int`, `float`, `uuid`) narrow what matches; a path that does not match is not
found. Literals may be written plainly or percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from buildflow_nb.core.errors import DeclarationError

__all__ = ("REST", "Segment", "Template", "parse_template")

REST = "path"  # the kind that takes all that is left
_KINDS = {
    "str": r"(.+)",
    "int": r"([0-9]+)",
    "float": r"([0-9]+(?:\.[0-9]+)?)",
    "uuid": r"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})",
}
_FIELD = re.compile(r"{([^{}]*)}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One part between slashes.

    `text` is the literal, or the pattern that the whole segment must match; a rest has neither.
    """

    text: str
    names: tuple[str, ...] = ()

    @property
    def rest(self) -> bool:
        """Whether it takes everything that is left."""
        return bool(self.names) and not self.text


@dataclass(frozen=True, slots=True)
class Template:
    """A route taken apart; two routes of equal `shape` match the same paths."""

    route: str
    segments: tuple[Segment, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters in the path, in order."""
        return tuple(name for segment in self.segments for name in segment.names)

    @property
    def shape(self) -> tuple[tuple[str, bool], ...]:
        """What it matches, whatever its parameters are called."""
        return tuple((segment.text, bool(segment.names)) for segment in self.segments)


def parse_template(route: str, owner: str) -> Template:
    """Take a route apart; `owner` opens error messages.

    Raises:
        DeclarationError: a parameter is unnamed, named twice, of an unknown kind or misplaced.
    """
    parts = route.strip("/").split("/") if route.strip("/") else []
    segments = tuple(_segment(part, route, owner) for part in parts)
    template = Template(route, segments)
    if any(segment.rest for segment in segments[:-1]):
        _refuse(owner, route, "has more after a {…:path}, which takes all that is left")
    names = template.names
    for name in names:
        if names.count(name) > 1:
            _refuse(owner, route, f"names {name!r} twice")
    return template


def _segment(part: str, route: str, owner: str) -> Segment:
    if "{" not in part and "}" not in part:
        return Segment(unquote(part))
    names: list[str] = []
    pattern, end = "", 0
    for found in _FIELD.finditer(part):
        name, _, kind = found[1].partition(":")
        if not name.isidentifier():
            _refuse(owner, route, f"has {found[0]!r}, which names no parameter")
        names.append(name)
        if kind == REST:
            if found[0] != part:
                _refuse(owner, route, f"has {found[0]!r} in a longer segment; give it its own")
            return Segment("", (name,))
        if (kind or "str") not in _KINDS:
            known = ", ".join([*_KINDS, REST])
            _refuse(owner, route, f"has {found[0]!r}; kinds are {known}")
        pattern += re.escape(unquote(part[end : found.start()])) + _KINDS[kind or "str"]
        end = found.end()
    left = part[end:]
    if "{" in left or "}" in left or not names:
        _refuse(owner, route, "has a brace without its partner")
    return Segment(pattern + re.escape(unquote(left)), tuple(names))


def _refuse(owner: str, route: str, why: str) -> None:
    msg = f"{owner}: route {route!r} {why}"
    raise DeclarationError(msg)
