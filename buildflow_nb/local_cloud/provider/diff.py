"""What changes between the inputs of the last update and those of a program, path by path.

The last inputs are compared, not the last outputs, since a program can only change inputs; but an
input that is new to a program and says what is so already changes nothing, nor does one that a
program leaves to the cloud again. Where a required input was not there before, the cloud told
nothing of it when the resource was imported, and the program's word stands. `refresh` writes what
it found into the last inputs, which is how drift becomes a change.

Source: pulumi, `DiffResponse` in provider.proto; the paths are those of sdk/go/property.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TypeAlias

from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind, same
from buildflow_nb.local_cloud.provider.names import DEFAULTS, defaulted
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = ("Difference", "changed", "difference", "equal")

Change: TypeAlias = "proto.PropertyDiff.Kind.ValueType"
_REPLACING = {
    proto.PropertyDiff.ADD: proto.PropertyDiff.ADD_REPLACE,
    proto.PropertyDiff.DELETE: proto.PropertyDiff.DELETE_REPLACE,
    proto.PropertyDiff.UPDATE: proto.PropertyDiff.UPDATE_REPLACE,
}


@dataclass(slots=True)
class Difference:
    """Kinds of change by path, and the inputs that force a replacement."""

    paths: dict[str, Change] = field(default_factory=dict)
    replaces: list[str] = field(default_factory=list)
    delete_first: bool = False

    def response(self) -> proto.DiffResponse:
        """The answer as the engine wants it."""
        some, none = proto.DiffResponse.DIFF_SOME, proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(
            changes=some if self.paths else none,
            diffs=sorted({_root(path) for path in self.paths}),
            replaces=self.replaces,
            detailedDiff={
                path: proto.PropertyDiff(kind=kind, inputDiff=True)
                for path, kind in self.paths.items()
            },
            hasDetailedDiff=True,
            deleteBeforeReplace=self.delete_first,
        )


def difference(
    schema: Schema,
    old_inputs: dict[str, Plain],
    old_state: Mapping[str, Plain],
    news: dict[str, Plain],
    ignored: Collection[str] = (),
) -> Difference:
    """Compare the last inputs and outputs with new inputs."""
    found = Difference()
    for name in changed(schema, old_inputs, old_state, news):
        if name in ignored:
            continue
        declared = schema.inputs.get(name, Input())
        _walk(name, declared, _before(name, old_inputs, old_state), news.get(name), found)
        if declared.replaces:
            found.replaces.append(name)
    found.delete_first = bool(found.replaces) and _name_is_taken(schema, old_inputs, news)
    return found


def changed(
    schema: Schema,
    old_inputs: Mapping[str, Plain],
    old_state: Mapping[str, Plain],
    news: Mapping[str, Plain],
) -> list[str]:
    """The names of the inputs that do not mean what they meant."""
    found = []
    for name in sorted((old_inputs.keys() | news.keys()) - {DEFAULTS}):
        declared = schema.inputs.get(name, Input())
        untold = declared.required and _before(name, old_inputs, old_state) is None
        if not untold and not _kept(declared, name, old_inputs, old_state, news):
            found.append(name)
    return found


def _kept(
    declared: Input,
    name: str,
    old_inputs: Mapping[str, Plain],
    old_state: Mapping[str, Plain],
    news: Mapping[str, Plain],
) -> bool:
    old, new = old_inputs.get(name), news.get(name)
    if new is None:
        return declared.computed or _says_nothing(old)
    before = _before(name, old_inputs, old_state)
    return (_says_nothing(new) and _says_nothing(before)) or equal(declared, before, new)


def _before(name: str, old_inputs: Mapping[str, Plain], old_state: Mapping[str, Plain]) -> Plain:
    """What a program that now says something has to be compared with."""
    old = old_inputs.get(name)
    return old_state.get(name) if old is None else old


def _says_nothing(value: Plain) -> bool:
    """Whether a cloud takes the value for one that was left out; zero is said, false is not."""
    return value is None or value is False or value in ("", [], {})


def equal(declared: Input, old: Plain, new: Plain) -> bool:
    """Whether a new value means what an old one does, part by part; it may leave parts out."""
    if declared.kind is Kind.OBJECT and isinstance(old, dict) and isinstance(new, dict):
        return all(
            _kept(declared.parts.get(name, Input()), name, old, {}, new)
            for name in old.keys() | new.keys()
        )
    if declared.kind is Kind.OBJECTS and isinstance(old, list) and isinstance(new, list):
        part = Input(Kind.OBJECT, parts=declared.parts)
        return len(old) == len(new) and all(map(lambda a, b: equal(part, a, b), old, new))
    return same(declared.kind, old, new)


def _walk(path: str, declared: Input, old: Plain, new: Plain, found: Difference) -> None:
    """Note the innermost paths at which two values that differ do so."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            part = _part(declared, key)
            if not _kept_part(declared, part, key, old, new):
                _walk(_below(path, key), part, old.get(key), new.get(key), found)
    elif isinstance(old, list) and isinstance(new, list):
        part = Input(Kind.OBJECT, parts=declared.parts, replaces=declared.replaces)
        for position, (one, other) in enumerate(zip_longest(old, new)):
            if not equal(part, one, other):
                _walk(f"{path}[{position}]", part, one, other, found)
    else:
        kind = _kind(old, new)
        found.paths[path] = _REPLACING[kind] if declared.replaces else kind


def _kept_part(
    whole: Input, part: Input, key: str, old: dict[str, Plain], new: dict[str, Plain]
) -> bool:
    if whole.kind is Kind.OBJECT:
        return _kept(part, key, old, {}, new)
    return same(part.kind, old.get(key), new.get(key))  # in a table an empty text is a text


def _part(declared: Input, key: str) -> Input:
    part = declared.parts.get(key, Input())
    return replace(part, replaces=declared.replaces)


def _kind(old: Plain, new: Plain) -> Change:
    if old is None:
        return proto.PropertyDiff.ADD
    return proto.PropertyDiff.DELETE if new is None else proto.PropertyDiff.UPDATE


def _name_is_taken(schema: Schema, olds: dict[str, Plain], news: dict[str, Plain]) -> bool:
    """Whether the old resource has to go first, because the new one is given its very name."""
    if schema.name is None:
        return False
    name = schema.name.name
    return name not in defaulted(news) and same(Kind.TEXT, olds.get(name), news.get(name))


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f'{path}["{key}"]'


def _root(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
