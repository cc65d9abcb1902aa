"""The id of a primitive, as text that may also be called."""

from __future__ import annotations

__all__ = ("PrimitiveId",)


class PrimitiveId(str):
    """An id: `primitive.primitive_id`, and `primitive.primitive_id()` as BuildFlow 0.3 had it."""

    __slots__ = ()

    def __call__(self) -> str:
        """The id, as plain text."""
        return str(self)
