"""The rows of a push as record batches, each small enough for one request.

How a push is divided depends on its rows alone, so that one that is repeated has the same pieces.

Limit: BigQuery documentation, "Quotas and limits", "Storage Write API" (10 MB in a request).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.io.partial_push import Failures

__all__ = ("Piece", "pieces_of", "rest_of")

REQUEST_BYTES = 9_500_000  # of rows; the rest is for the schema, and for what is around them


@dataclass(frozen=True)
class Piece:
    """Rows as an Arrow table, and the positions of their elements in the push."""

    rows: Any
    positions: Sequence[int]

    @cached_property
    def data(self) -> bytes:
        """The rows as one serialized record batch."""
        import pyarrow as pa

        whole = self.rows.combine_chunks()
        batches = whole.to_batches() or [pa.RecordBatch.from_pylist([], schema=whole.schema)]
        data: bytes = batches[0].serialize().to_pybytes()
        return data

    def part(self, first: int, behind: int) -> Piece:
        """Some of the rows."""
        return Piece(self.rows.slice(first, behind - first), self.positions[first:behind])

    def halves(self) -> list[Piece]:
        """The rows in two."""
        middle = len(self.positions) // 2
        return [self.part(0, middle), self.part(middle, len(self.positions))]

    def without(self, faults: Mapping[int, Exception]) -> tuple[list[Piece], Failures]:
        """The pieces that are to be tried next, and the faults by position in the push.

        Where it is not said which rows are at fault, that is the rows in two.
        """
        if not faults:
            return self.halves(), {}
        failed = {self.positions[row]: error for row, error in faults.items()}
        return self.apart(failed), failed

    def apart(self, positions: Mapping[int, object]) -> list[Piece]:
        """This piece without the elements at these positions; nothing where none is left."""
        kept = [row for row, at in enumerate(self.positions) if at not in positions]
        if len(kept) == len(self.positions):
            return [self]
        return [Piece(self.rows.take(kept), [self.positions[row] for row in kept])] if kept else []


def rest_of(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """The pieces without their first `count` rows."""
    rest = []
    for piece in pieces:
        size = len(piece.positions)
        if count < size:
            rest.append(piece.part(count, size) if count else piece)
        count = max(0, count - size)
    return rest


def pieces_of(rows: Any, positions: Sequence[int], failed: Failures) -> list[Piece]:
    """The rows in pieces; those too large for any request are added to the failed."""
    done: list[Piece] = []
    waiting = [Piece(rows, positions)] if len(positions) else []
    while waiting:
        piece = waiting.pop()
        if piece.rows.nbytes < REQUEST_BYTES and len(piece.data) <= REQUEST_BYTES:
            done.append(piece)
        elif len(piece.positions) > 1:
            waiting += piece.halves()[::-1]
        else:
            size = len(piece.data)
            msg = f"the row has {size:,} bytes, and BigQuery takes requests of 10 MB at most"
            failed[piece.positions[0]] = ConversionError(msg)
    return done
