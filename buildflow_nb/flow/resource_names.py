"""What a flow knows of resources: each primitive that it uses or manages, and what it is called.

A name is the class and id, what it was declared as, the id, or the short name that people use, as
long as that is one resource's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec, uses_of
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import cut, nearest
from buildflow_nb.core.portable import declared_as
from buildflow_nb.core.primitive import Readable, key_of, label_of, owned_by, parents_of

__all__ = ("KnownResource", "found_resource", "known_resources")

_ROLES = {
    "source": "source of {}",
    "sink": "sink of {}",
    "dead letter": "dead letters of {}",
    "dependency": "dependency of {}",
}


@dataclass(slots=True)
class KnownResource:
    """A primitive, by class and id; `name` is the shortest that is its own, without spaces.

    `uses` are the processors that use it, with the role in which they do.
    """

    key: str
    primitive: object
    name: str = ""
    managed: bool = False
    uses: list[tuple[str, ProcessorSpec]] = field(default_factory=list)

    @property
    def roles(self) -> tuple[str, ...]:
        """What the flow does with it: "source of price"."""
        return tuple(_ROLES[role].format(spec.id) for role, spec in self.uses if role in _ROLES)

    @property
    def names(self) -> Iterator[str]:
        """All that it may be called, the most exact first."""
        yield self.key
        yield self.key.replace(" ", ":", 1)
        if declared := declared_as(self.primitive):
            yield declared
            yield declared.partition(" ")[2]
        identifier = self.key.partition(" ")[2]
        label = label_of(self.primitive).partition(" ")[2]
        yield identifier
        yield label
        for text in (identifier, label):
            yield text.rpartition("://")[2]
            yield text.rpartition(" / ")[2]
            yield PurePath(text).name


def known_resources(
    processors: Iterable[ProcessorSpec], primitives: Iterable[object], managed: Iterable[object]
) -> dict[str, KnownResource]:
    """What processors use and a flow manages, and what these are made of, by class and id."""
    found: dict[str, KnownResource] = {}

    def add(primitive: object) -> KnownResource:
        key = key_of(primitive)
        if key not in found:
            found[key] = KnownResource(key, primitive)
            for part in (*owned_by(primitive), *parents_of(primitive)):
                add(part)
        return found[key]

    for spec in processors:
        for use in uses_of(spec):
            add(use.primitive).uses.append((use.role, spec))
    for primitive in primitives:
        add(primitive)
    for primitive in managed:
        add(primitive).managed = True
        for part in owned_by(primitive):
            add(part).managed = True
    _name(found)
    return found


def _name(found: Mapping[str, KnownResource]) -> None:
    """Give each the shortest name that is its own."""
    taken: dict[str, set[str]] = {}
    for one in found.values():
        for name in one.names:
            taken.setdefault(name, set()).add(one.key)
    for one in found.values():
        own = [name for name in one.names if name and taken[name] == {one.key}]
        plain = [name for name in own if not set(name) & set(" \"'\\")]
        one.name = min(plain or own or [one.key], key=len)


def found_resource(known: Mapping[str, KnownResource], named: str) -> KnownResource:
    """The resource of that name; of several that one word was declared as, the one that is read.

    Raises:
        UsageError: there is none, or the name is that of several.
    """
    found = {one.key: one for one in known.values() if named in one.names}
    exact = [one for one in found.values() if named in (one.key, one.key.replace(" ", ":", 1))]
    chosen = exact or list(found.values())
    if len(chosen) > 1 and len({declared_as(one.primitive) for one in chosen} - {""}) == 1:
        chosen = [one for one in chosen if isinstance(one.primitive, Readable)] or chosen
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        names = ", ".join(one.name for one in chosen)
        msg = f"{cut(named)!r} is the name of several: {names}; say which"
        raise UsageError(msg)
    names = ", ".join(one.name for one in known.values()) or "none"
    near = nearest(named, [name for one in known.values() for name in one.names if name])
    msg = f"no resource {cut(named)!r}{near} (the flow has: {cut(names)})"
    raise UsageError(msg)
