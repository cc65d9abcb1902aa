"""Fields whose values nobody shall see: which they are, and elements with `****` in their place.

A field is secret if its type is `Secret`, pydantic's `SecretStr`, `SecretBytes` or `Secret[X]`, or
if it is marked, as in `Annotated[str, Secret]`. It may stand anywhere: in records inside records,
lists, dicts, unions. What is needed is compiled from the annotation once; a type without secrets
costs nothing, since there is no masker for it.

Masking is by construction: it makes a copy that does not hold the value. A value that has not the
shape that its type says is masked as a whole rather than shown by mistake.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin

from buildflow_nb.core.conversion.annotations import (
    arms_of,
    is_named_tuple,
    is_pydantic,
    is_record,
    is_struct,
    is_typed_dict,
    is_unknown,
    pydantic_fields,
)
from buildflow_nb.core.conversion.secret_nodes import (
    ABSENT,
    Each,
    Either,
    Map,
    Node,
    Places,
    Record,
    Secretive,
)
from buildflow_nb.core.conversion.type_parts import LISTS, MAPS, WRAPPERS, fields_of, origin_of
from buildflow_nb.core.credentials import is_secret_class, is_secret_mark

__all__ = ("MASK", "is_open", "masker", "restorer", "secret_names", "secret_paths", "secrets_of")

MASK = "****"


def masker(hint: object) -> Callable[[object], object] | None:
    """What replaces the secrets in values of this type by `****`; None where it has none."""
    node = _compile(hint)
    if node is None:
        return None
    rewrite = node.rewrite
    return lambda value: rewrite(value, ABSENT, _masked)


def restorer(hint: object) -> Callable[[object, object], object] | None:
    """What puts the secrets of a second value where the first one, a masked copy, has `****`."""
    node = _compile(hint)
    if node is None:
        return None
    rewrite = node.rewrite
    return lambda shown, real: rewrite(shown, real, _restored)


def secrets_of(hint: object) -> Callable[[object], list[object]] | None:
    """What lists the secret values inside a value of this type; None where it has none."""
    node = _compile(hint)
    if node is None:
        return None
    rewrite = node.rewrite

    def collect(value: object) -> list[object]:
        found: list[object] = []

        def leaf(secret: object, _twin: object) -> object:
            found.append(secret)
            return secret

        rewrite(value, ABSENT, leaf)
        return found

    return collect


def secret_paths(hint: object) -> tuple[str, ...]:
    """Where secrets are in values of this type, like `password`, `cards[].number`, `keys.*`."""
    return tuple(dict.fromkeys(path.removeprefix(".") for path in _paths(hint, "", ())))


def secret_names(hint: object) -> tuple[frozenset[str], ...]:
    """Of each field of a record that is or holds a secret, the names that it may go by."""
    node = _compile(hint)
    arms = [arm for _, arm in node.arms] if isinstance(node, Either) else [node]
    return tuple(
        frozenset(
            name
            for name, other in arm.keys.items()
            if name == field or (other is held and name not in arm.nodes)
        )
        for arm in arms
        if isinstance(arm, Record)
        for field, held in arm.nodes.items()
    )


def is_open(hint: object) -> bool:
    """Whether the type leaves open what values hold, so that only the values themselves tell."""
    if is_unknown(hint) or hint in (dict, list, tuple, set, frozenset):
        return True
    return not is_record(hint) and any(is_open(arg) for arg in get_args(hint) if arg is not None)


def _paths(hint: object, path: str, above: tuple[object, ...]) -> Iterator[str]:
    hint = _bare(hint)
    if hint is _SECRET:
        yield path
        return
    if is_record(origin_of(hint)):
        if hint in above:
            return
        above = (*above, hint)
    for step, part in _parts(hint):
        yield from _paths(part, path + step, above)


class _Secret:
    """Stands for every secret type."""


_SECRET = _Secret()


def _bare(hint: object) -> object:
    """The hint without what says nothing of secrets; `_SECRET` for one that is secret."""
    while True:
        if is_secret_class(get_origin(hint) or hint):
            return _SECRET
        if get_origin(hint) is typing.Annotated:
            inner, *marks = get_args(hint)
            if any(is_secret_mark(mark) for mark in marks):
                return _SECRET
        elif getattr(get_origin(hint), "_name", None) in WRAPPERS:
            inner = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            inner = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            inner = hint.__value__  # type: ignore[attr-defined]
        else:
            return hint
        hint = inner


def _parts(hint: object) -> list[tuple[str, object]]:
    """What a type is made of, with the step of a path that leads there."""
    arms = arms_of(hint)
    if len(arms) > 1:
        return [("", arm) for arm in arms]
    origin, args = origin_of(hint), get_args(hint)
    if is_record(origin):
        return [(f".{name}", kind) for name, kind in fields_of(hint).items()]
    if origin in MAPS and len(args) == 2:  # noqa: PLR2004  (key and value)
        return [(".*", args[1]), (".*", args[0])]
    if origin is tuple and args and args[-1] is not Ellipsis:
        return [(f"[{i}]", arg) for i, arg in enumerate(args)]
    if args and (origin in LISTS or origin is tuple):
        return [("[]", args[0])]
    return []


def _compile(hint: object, memo: dict[object, Node] | None = None) -> Node | None:
    memo = {} if memo is None else memo
    hint = _bare(hint)
    if next(_paths(hint, "", ()), None) is None:
        return None
    if hint is _SECRET:
        return Secretive()
    if len(arms_of(hint)) > 1:
        return Either([(_fitting(arm), _compile(arm, memo)) for arm in arms_of(hint)])
    if is_record(origin_of(hint)):
        return memo[hint] if hint in memo else _record(hint, memo)
    return _container(hint, [_compile(part, memo) for _, part in _parts(hint)])


def _container(hint: object, nodes: list[Node | None]) -> Node:
    origin = origin_of(hint)
    if origin in MAPS:
        return Map(key=nodes[1], node=nodes[0])
    if origin is tuple and get_args(hint)[-1] is not Ellipsis:
        return Places(nodes)
    return Each(nodes[0])


def _fitting(arm: object) -> Callable[[object], bool]:
    """Tells whether a value may be of this arm of a union; a marked one is told by its type."""
    while get_origin(arm) is typing.Annotated:
        arm = get_args(arm)[0]
    return lambda value: _fits(value, arm)


def _record(hint: object, memo: dict[object, Node]) -> Node:
    made = memo[hint] = Record(tuple(fields_of(hint)) if is_named_tuple(origin_of(hint)) else ())
    for name, kind in fields_of(hint).items():
        node = _compile(kind, memo)
        if node is not None:
            made.nodes[name] = node
            for key in (name, *_aliases(origin_of(hint), name)):
                made.keys[key] = node
    return made


def _aliases(record: Any, name: str) -> Iterator[str]:
    """Other names that a field has in JSON."""
    if is_pydantic(record):
        info = pydantic_fields(record)[name]
        for alias in (info.alias, info.validation_alias, info.serialization_alias):
            for one in getattr(alias, "choices", [alias]):
                if isinstance(one, str):
                    yield one
    elif is_struct(record):
        at = record.__struct_fields__.index(name)
        yield record.__struct_encode_fields__[at]


def _fits(value: object, hint: object) -> bool:
    if is_secret_class(origin_of(hint)):
        return isinstance(value, typing.cast("type", origin_of(hint)))
    hint = _bare(hint)
    origin = origin_of(hint)
    if is_unknown(hint) or is_typed_dict(origin):
        return is_unknown(hint) or isinstance(value, Mapping)
    if origin is float:
        return isinstance(value, (int, float))
    if origin is typing.Literal:
        return value in get_args(hint)
    return isinstance(origin, type) and isinstance(value, origin)


def _masked(_value: object, _twin: object) -> object:
    return MASK


def _restored(value: object, twin: object) -> object:
    return twin if value == MASK and twin is not ABSENT else value
