"""What of a primitive several processes may use at once, by two attributes that it may have.

`shared` of a source is said of none that says nothing, so a new one is read by one process only
until somebody has seen that it may be read by more.
"""

from __future__ import annotations

__all__ = ("exclusive_of", "is_shared")


def is_shared(source: object) -> bool:
    """Whether several processes may read a source at once, by its attribute `shared`.

    Queues and subscriptions may: each element goes to one of those who ask. Of a file, a table or a
    generator each reader would get everything.
    """
    return bool(getattr(source, "shared", False))


def exclusive_of(primitive: object) -> str:
    """What of a primitive one process only may have open, by its attribute `exclusive`; or "".

    Those that give the same, as two tables of a database in one file, are opened by one process.
    """
    return str(getattr(primitive, "exclusive", ""))
