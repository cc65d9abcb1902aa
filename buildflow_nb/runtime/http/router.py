"""Finds the route of a request while routes come and go.

Paths without parameters are found by one look into a dict. Others go down a tree, segment by
segment, where a literal beats a parameter and a parameter beats a rest; segments are
percent-decoded after they were split, so that an encoded slash stays inside its segment. A slash
at the end makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote

from buildflow_nb.core.declaring.route_template import Segment, Template, parse_template
from buildflow_nb.core.errors import DeclarationError

__all__ = ("NO_VALUES", "Match", "Routed", "Router", "split_path")

NO_VALUES: Mapping[str, str] = {}


class Routed(Protocol):
    """What can be found at a path."""

    @property
    def id(self) -> str:
        """Its name, unique in a router."""
        ...

    @property
    def method(self) -> str:
        """In capitals."""
        ...

    @property
    def path(self) -> str:
        """The route, with `{parameters}`."""
        ...


R = TypeVar("R", bound=Routed)


@dataclass(slots=True)
class _Leaf(Generic[R]):
    """The routes of one shape, by method, each with its own names for the parameters."""

    routes: dict[str, tuple[R, Template]] = field(default_factory=dict)


@dataclass(slots=True)
class _Node(Generic[R]):
    literals: dict[str, _Node[R]] = field(default_factory=dict)
    patterns: dict[str, tuple[re.Pattern[str], _Node[R]]] = field(default_factory=dict)
    rest: _Leaf[R] | None = None
    leaf: _Leaf[R] | None = None

    def below(self, segment: Segment) -> _Node[R]:
        """The node behind a segment, made if need be."""
        if not segment.names:
            return self.literals.setdefault(segment.text, _Node())
        if segment.text not in self.patterns:
            self.patterns[segment.text] = (re.compile(segment.text, re.DOTALL), _Node())
            longest_first = sorted(self.patterns.items(), key=lambda item: -len(item[0]))
            self.patterns = dict(longest_first)
        return self.patterns[segment.text][1]


@dataclass(frozen=True, slots=True)
class Match(Generic[R]):
    """A path's route; without one, the methods that the path does take."""

    route: R | None
    values: Mapping[str, str]
    methods: tuple[str, ...] = ()


class Router(Generic[R]):
    """All routes of a server."""

    def __init__(self) -> None:
        self._mounted: dict[str, tuple[R, Template]] = {}
        self._root: _Node[R] = _Node()
        self.static: dict[str, dict[str, R]] = {}
        """Routes without parameters, by path as it comes in, then by method."""

    def __iter__(self) -> Iterator[R]:
        return (route for route, _ in self._mounted.values())

    def add(self, route: R) -> None:
        """Make a route found; one of the same id is replaced.

        Raises:
            DeclarationError: another route has the same method and matches the same paths.
        """
        self._mounted[route.id] = (route, self.refuse_taken(route))
        self._grow()

    def refuse_taken(self, route: R) -> Template:
        """The template of a route that could be added.

        Raises:
            DeclarationError: another route has the same method and matches the same paths.
        """
        template = parse_template(route.path, f"route of {route.id!r}")
        for other, its in self._mounted.values():
            same = other.method == route.method and its.shape == template.shape
            if same and other.id != route.id:
                msg = (
                    f"{route.id!r} and {other.id!r} both serve {route.method} {route.path}; "
                    "give one of them another route or method"
                )
                raise DeclarationError(msg)
        return template

    def remove(self, route: R) -> bool:
        """Forget a route; whether it was there, and not another one of its id."""
        mounted = self._mounted.get(route.id)
        if mounted is None or mounted[0] is not route:
            return False
        del self._mounted[route.id]
        self._grow()
        return True

    def find(self, raw_path: str, method: str) -> Match[R]:
        """The route for a path as it was sent, without its query.

        Raises:
            UnicodeError: the path is not UTF-8.
        """
        segments = split_path(raw_path)
        methods: dict[str, None] = {}
        for attempt in (segments, segments[:-1] if segments[-1:] == [""] else None):
            if attempt is None:
                continue
            for leaf, values in _search(self._root, attempt, 0, ()):
                found = leaf.routes.get(method)
                if found is not None:
                    route, template = found
                    return Match(route, dict(zip(template.names, values, strict=True)))
                methods |= dict.fromkeys(leaf.routes)
        return Match(None, NO_VALUES, tuple(methods))

    def _grow(self) -> None:
        """Build the tree anew: routes change rarely, and requests find one tree or the other."""
        root: _Node[R] = _Node()
        static: dict[str, dict[str, R]] = {}
        for route, template in self._mounted.values():
            node, leaf = root, None
            for segment in template.segments:
                if segment.rest:
                    leaf = node.rest = node.rest or _Leaf()
                    break
                node = node.below(segment)
            else:
                leaf = node.leaf = node.leaf or _Leaf()
            leaf.routes[route.method] = (route, template)
            texts = [segment.text for segment in template.segments]
            if not template.names and not any("/" in text for text in texts):
                path = "/" + "/".join(texts)
                static.setdefault(path, {})[route.method] = route
        self._root, self.static = root, static


def split_path(raw_path: str) -> list[str]:
    """A path's segments, decoded.

    Raises:
        UnicodeError: they are not UTF-8.
    """
    raw_path.encode()  # the parser smuggles bytes that are not UTF-8 in as lone surrogates
    if raw_path in ("", "/"):
        return []
    parts = raw_path.removeprefix("/").split("/")
    return [unquote(part, errors="strict") if "%" in part else part for part in parts]


def _search(
    node: _Node[R], segments: list[str], at: int, values: tuple[str, ...]
) -> Iterator[tuple[_Leaf[R], tuple[str, ...]]]:
    """Every leaf that matches, the most literal first."""
    if at == len(segments):
        if node.leaf is not None:
            yield node.leaf, values
        return
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        yield from _search(literal, segments, at + 1, values)
    for pattern, below in node.patterns.values():
        found = pattern.fullmatch(segment)
        if found is not None:
            yield from _search(below, segments, at + 1, (*values, *found.groups()))
    if node.rest is not None:
        yield node.rest, (*values, "/".join(segments[at:]))
