"""Where in its data a reader is, so that a later run can go on there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from buildflow_nb.io.blocking import Reader

__all__ = ("Offset", "ResumableReader")


@dataclass(frozen=True, slots=True)
class Offset:
    """Where element `number` of a piece stands (of the only piece, or of a part of a folder).

    `at` is what the reader needs to find it again, and to see that it is still the same piece: all
    that lies before it, or, where `vouches` says so, before a later number.
    """

    piece: str = ""
    number: int = 0
    at: Mapping[str, Any] = field(default_factory=dict)
    vouches: int = 0

    @property
    def known_to(self) -> int:
        """The number before which `at` tells whether elements are the same."""
        return max(self.number, self.vouches)


@runtime_checkable
class ResumableReader(Reader, Protocol):
    """A reader whose elements always come in the same order, so that it can go on later.

    A batch is of one piece.
    """

    @property
    def began(self) -> Offset:
        """Where the batch that was read last began."""
        ...

    @property
    def here(self) -> Offset:
        """Where it ended."""
        ...

    @property
    def waits_for(self) -> str:
        """What was left at the end, since it may still be written; "" for nothing."""
        ...

    def still(self, offset: Offset) -> bool:
        """Once opened, and before `go_to`: whether the piece up to this offset is what it was."""
        ...

    def go_to(self, offset: Offset, number: int) -> bool:
        """Once opened: go on at this offset, of whose piece all before `number` is done.

        It may begin to read anywhere between the two. False where the piece is not any more what
        it was: then it is read from its beginning.
        """
        ...
