"""Writes pushes to a store of objects, each as one part of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from buildflow_nb.core.errors import PartialPushError
from buildflow_nb.io._layout import ELEMENT_FAULTS, write_sound
from buildflow_nb.io._parts import PartNames, Parts

__all__ = ("PartStore", "PartWriter")


class PartStore(Protocol):
    """A bucket, as a place to put objects."""

    def open(self) -> None:
        """Make the client, so that what is missing for it is told at once."""
        ...

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Put an object there, whole or not at all.

        Raises:
            TemporaryError: the bucket is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        ...


class PartWriter:
    """Writes parts below `folder`, the beginning of their names; "" is the bucket's root."""

    def __init__(self, store: PartStore, folder: str, parts: Parts) -> None:
        self._store = store
        self._parts = parts
        self._names = PartNames(folder, parts.ending)

    def open(self) -> None:
        """Get the store ready."""
        self._store.open()

    def write(self, items: Sequence[object]) -> None:
        """Write the items as one object; raises what `put` does, too.

        Raises:
            PartialPushError: all were written but some.
        """
        body, partial = _sound_part(self._parts, items)
        if body is not None:
            self._store.put(self._names.next(), body, self._parts.content_type)
            self._parts.keep()
        if partial is not None:
            raise partial

    def close(self) -> None:
        """Nothing is held open."""


def _sound_part(
    parts: Parts, items: Sequence[object]
) -> tuple[bytes | None, PartialPushError | None]:
    """One part of all elements that can be written, and what to say of the others."""
    try:
        return parts.encode(items), None
    except ELEMENT_FAULTS:
        pass
    try:
        write_sound(items, lambda some: _try(parts.encode, some), ELEMENT_FAULTS)
    except PartialPushError as partial:
        sound = [item for i, item in enumerate(items) if i not in partial.failed]
        return (parts.encode(sound) if sound else None), partial
    return parts.encode(items), None


def _try(encode: Callable[[Sequence[object]], bytes], items: Sequence[object]) -> None:
    encode(items)
