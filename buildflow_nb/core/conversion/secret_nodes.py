"""The secrets of one type, as a tree that rewrites values: masks, restores or lists what is secret.

Compiled by `secret_fields.py`. A node gives the value itself where nothing is secret in it, and
else a copy. A value of another shape than its type goes to the leaf function as a whole.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from buildflow_nb.core.conversion.annotations import is_named_tuple, is_struct

__all__ = (
    "ABSENT",
    "Each",
    "Either",
    "Leaf",
    "Map",
    "Node",
    "Places",
    "Record",
    "Secretive",
    "with_fields",
)

ABSENT: Any = object()  # where the twin of a value has nothing
Leaf = Callable[[object, object], object]  # a secret value and its twin -> what takes its place


class Node(Protocol):
    """The secrets in one type."""

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """The value, or a copy of it with something else in place of secrets."""
        ...


class Secretive:
    """A secret."""

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """What the leaf function makes of it."""
        return value if value is None else leaf(value, twin)


@dataclass(slots=True)
class Record:
    """An object with named fields, or a dict in its place; `order` is that of a NamedTuple."""

    order: tuple[str, ...]
    nodes: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """The record with other secrets."""
        if value is None:
            return None
        if isinstance(value, Mapping):
            changed = {
                key: node.rewrite(value[key], _member(twin, key), leaf)
                for key, node in self.keys.items()
                if key in value
            }
            return {**value, **changed} if _differs(changed, value.__getitem__) else value
        if self.order and type(value) in (list, tuple):  # a NamedTuple as JSON has it
            nodes = [self.nodes.get(name) for name in self.order]
            return Places(nodes).rewrite(value, twin, leaf)
        if not all(hasattr(value, name) for name in self.nodes):
            return leaf(value, twin)
        changed = {
            name: node.rewrite(getattr(value, name), _member(twin, name), leaf)
            for name, node in self.nodes.items()
        }
        if not _differs(changed, lambda name: getattr(value, name)):
            return value
        return with_fields(value, changed, lambda: leaf(value, twin))


@dataclass(slots=True)
class Each:
    """Many of a kind."""

    node: Node | None

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """All, rewritten."""
        if value is None or self.node is None:
            return value
        if not isinstance(value, (list, tuple, set, frozenset)):
            return leaf(value, twin)
        twins = twin if isinstance(twin, (list, tuple)) and len(twin) == len(value) else ()
        found = [
            self.node.rewrite(item, twins[i] if twins else ABSENT, leaf)
            for i, item in enumerate(value)
        ]
        return _like(value, found)


@dataclass(slots=True)
class Places:
    """A tuple with a type for each place."""

    nodes: list[Node | None]

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """All, rewritten."""
        if value is None:
            return None
        if not isinstance(value, (list, tuple)) or len(value) != len(self.nodes):
            return leaf(value, twin)
        twins = twin if isinstance(twin, (list, tuple)) and len(twin) == len(value) else ()
        found = [
            item if node is None else node.rewrite(item, twins[i] if twins else ABSENT, leaf)
            for i, (item, node) in enumerate(zip(value, self.nodes, strict=True))
        ]
        return _like(value, found)


@dataclass(slots=True)
class Map:
    """A dict; its keys may be secret, too, and then become one."""

    key: Node | None
    node: Node | None

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """The dict with other secrets."""
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return leaf(value, twin)
        return {
            key if self.key is None else self.key.rewrite(key, key, leaf): item
            if self.node is None
            else self.node.rewrite(item, _member(twin, key), leaf)
            for key, item in value.items()
        }


@dataclass(slots=True)
class Either:
    """One of several types: those that the value may be of decide."""

    arms: list[tuple[Callable[[object], bool], Node | None]]

    def rewrite(self, value: Any, twin: Any, leaf: Leaf) -> object:
        """What the fitting types make of it."""
        if value is None:
            return None
        fitting = [node for fits, node in self.arms if fits(value)]
        if not fitting:  # a dict in a record's place, or what fits nothing
            fitting = [node for _, node in self.arms]
        for node in fitting:
            if node is not None:
                value = node.rewrite(value, twin, leaf)
        return value


def _member(twin: Any, name: Any) -> Any:
    if twin is ABSENT:
        return ABSENT
    if isinstance(twin, Mapping):
        return twin.get(name, ABSENT)
    return getattr(twin, name, ABSENT) if isinstance(name, str) else ABSENT


def _differs(changed: Mapping[str, object], old: Callable[[str], object]) -> bool:
    return any(value is not old(name) for name, value in changed.items())


def _like(value: Any, found: list[object]) -> object:
    """The value, or if something in it has changed, one like it."""
    if all(a is b for a, b in zip(found, value, strict=True)):
        return value
    make = getattr(type(value), "_make", None)  # a NamedTuple
    if make is not None:
        return make(found)
    return type(value)(found) if type(value) in (list, tuple, set, frozenset) else found


def with_fields(value: Any, changed: Mapping[str, object], instead: Callable[[], object]) -> object:
    """A copy with other fields, made without running the class's own checks, or `instead`."""
    try:
        if is_named_tuple(type(value)):
            return value._replace(**changed)
        if hasattr(value, "model_copy"):  # a dataclass of pydantic's has none
            return value.model_copy(update=dict(changed))
        made = copy.copy(value)
        set_ = msgspec.structs.force_setattr if is_struct(type(value)) else object.__setattr__
        for name, new in changed.items():
            set_(made, name, new)
    except Exception:  # noqa: BLE001  (a user's class, which may do anything)
        return instead()
    return made if made is not value else instead()
