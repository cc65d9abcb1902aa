"""What a flow manages, in the order in which it is made.

What a primitive owns is managed along with it; primitives without cloud resources (files, DuckDB)
are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Managed, key_of, owned_by, parents_of

__all__ = ("in_order", "keys_of", "managed_above")


def in_order(managed: Iterable[object]) -> list[Managed]:
    """All that is managed, each after its parents, without what has no cloud resources.

    Raises:
        DeclarationError: primitives are parents of each other.
    """
    wanted = _with_owned(managed)
    ordered: dict[str, Managed] = {}
    for primitive in wanted.values():
        _place(primitive, wanted, ordered, ())
    return list(ordered.values())


def keys_of(managed: Iterable[object]) -> frozenset[str]:
    """What tells these primitives apart, and those that they own."""
    return frozenset(_with_owned(managed))


def _with_owned(managed: Iterable[object]) -> dict[str, Managed]:
    named = [p for p in managed if isinstance(p, Managed)]
    wanted = {key_of(p): p for p in named}
    for primitive in named:
        _add_owned(primitive, wanted)
    return wanted


def _add_owned(primitive: Managed, wanted: dict[str, Managed]) -> None:
    for owned in owned_by(primitive):
        if key_of(owned) not in wanted:  # one that was named has its own options
            wanted[key_of(owned)] = owned
            _add_owned(owned, wanted)


def _place(
    primitive: Managed,
    wanted: Mapping[str, Managed],
    ordered: dict[str, Managed],
    children: tuple[str, ...],
) -> None:
    key = key_of(primitive)
    if key in ordered:
        return
    if key in children:
        msg = f"primitives are parents of each other: {' -> '.join((*children, key))}"
        raise DeclarationError(msg)
    for parent in managed_above(primitive, wanted):
        _place(wanted[key_of(parent)], wanted, ordered, (*children, key))
    ordered[key] = primitive


def managed_above(primitive: Managed, among: Mapping[str, object]) -> list[Managed]:
    """The parents that the flow manages; the others are there already, by name."""
    return [p for p in (*owned_by(primitive), *parents_of(primitive)) if key_of(p) in among]
