"""Rows of a look as dicts, none of whose values is lost to another of the same name."""

from __future__ import annotations

from collections.abc import Sequence

from buildflow_nb.core.resource_look import ResourceLook

__all__ = ("Rows", "dicts_of")

Rows = list[dict[str, object]]


def dicts_of(look: ResourceLook, index: int) -> Rows:
    """The rows of one of its contents; none where it has no contents."""
    if not look.contents:
        return []
    content = look.contents[index]
    names = _numbered([column.name for column in content.columns])
    return [dict(zip(names, row, strict=True)) for row in content.rows]


def _numbered(names: Sequence[str]) -> Sequence[str]:
    """The names, each once: of one name the first keeps it, others are `a_2`, `a_3`.

    What a queue knows of a message comes first, so a field of its own called `sent` is `sent_2`.
    """
    taken, found = set(names), dict[str, None]()
    counts: dict[str, int] = {}
    for name in names:
        free = name
        if name in found:
            count = counts.get(name, 2)
            while (free := f"{name}_{count}") in taken:
                count += 1
            counts[name] = count
            taken.add(free)
        found[free] = None
    return tuple(found)
