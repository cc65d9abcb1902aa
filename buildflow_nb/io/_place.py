"""Where in its data a reader is, so that a later run can go on there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from buildflow_nb.io.blocking import Reader

__all__ = ("Place", "PlacedReader")


@dataclass(frozen=True, slots=True)
class Place:
    """Where element `number` of a piece stands (of the only piece, or of a part of a folder).

    `at` is what the reader needs to find it again, and to see that it is still the same piece.
    """

    piece: str = ""
    number: int = 0
    at: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class PlacedReader(Reader, Protocol):
    """A reader whose elements always come in the same order, so that it can go on later.

    A batch is of one piece.
    """

    @property
    def began(self) -> Place:
        """Where the batch that was read last began."""
        ...

    @property
    def waits_for(self) -> str:
        """What was left at the end, since it may still be written; "" for nothing."""
        ...

    def go_to(self, place: Place, number: int) -> bool:
        """Once opened: go on at this place, of whose piece all before `number` is done.

        It may begin to read anywhere between the two. False where the piece is not any more what
        it was: then it is read from its beginning.
        """
        ...
