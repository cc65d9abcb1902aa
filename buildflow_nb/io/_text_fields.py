"""Fields of a primitive that are texts, checked when it is declared.

A name that is `None`, or an account that is a number, would break far from here, in an SDK.
"""

from __future__ import annotations

from collections.abc import Sequence

from buildflow_nb.core.errors import DeclarationError

__all__ = ("check_texts",)


def check_texts(primitive: object, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Make sure that these fields of a primitive are texts, or `None` where they are optional.

    Raises:
        DeclarationError: one is something else.
    """
    for field in (*needed, *optional):
        value = getattr(primitive, field)
        if isinstance(value, str) or (value is None and field in optional):
            continue
        msg = f"{type(primitive).__name__}: {field} must be a text in quotes, got {value!r}"
        raise DeclarationError(msg)
