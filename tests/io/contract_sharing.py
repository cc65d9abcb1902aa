"""The contract of what several processes may read at once, and of what one only may open.

A source that says that it is shared is read by two at once here, over what it is read from in
earnest; one that says nothing stands in a list below, with why, so that a new one has to decide.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import buildflow_nb.io
from buildflow_nb.core.primitive import Source
from buildflow_nb.core.sharing import exclusive_of, is_shared
from tests.io import driving
from tests.io.driving import run

__all__ = ("ALONE", "EXCLUSIVE", "SHARED", "SharingContract", "alike", "kinds")

SHARED = frozenset(
    {"SQSQueue", "GCPPubSubSubscription", "S3FileChangeStream", "GCSFileChangeStream"}
)
ROWS = "each reader gets all rows"
ALONE = {
    "BigQueryQuery": ROWS,
    "BigQueryTable": ROWS,
    "DuckDBQuery": ROWS,
    "DuckDBTable": ROWS,
    "File": "each reader gets all lines",
    "LocalFileChangeStream": "each watch tells of every change",
    "PostgresChanges": "a replication slot has one reader",
    "PostgresQuery": ROWS,
    "PostgresTable": ROWS,
    "Pulse": "each reader gets all items",
    "PulseWithBacklog": "each reader gets all items",
}
EXCLUSIVE = {
    "DuckDBQuery": "DuckDB locks the file for one process",
    "DuckDBTable": "DuckDB locks the file for one process",
    "File": "lines that two processes append would be mixed",
}


class SharingContract:
    """What every source keeps; `expected` are the elements that `prepare` lays there."""

    expected: ClassVar[list[object]]

    def make(self, folder: Path) -> Any:
        """A primitive."""
        raise NotImplementedError

    def prepare(self, folder: Path) -> Any:
        """A primitive over data that is there."""
        raise NotImplementedError

    def test_whether_it_is_shared_is_decided(self, tmp_path):
        primitive = self.make(tmp_path)
        if type(primitive).__module__.startswith("buildflow_nb."):
            name = type(primitive).__name__
            assert is_shared(primitive) == (name in SHARED)
            assert is_shared(primitive) != (name in ALONE)

    def test_two_that_read_at_once_share_what_there_is(self, tmp_path):
        primitive = self.prepare(tmp_path)
        if not is_shared(primitive):
            return
        ones, others = run(read_by_two(primitive, len(self.expected)))
        left = [*ones, *others]
        for element in self.expected:
            assert element in left, f"nobody got {element!r}"
            left.remove(element)
        assert left == [], "both got these"

    def test_what_is_exclusive_is_one_thing(self, tmp_path):
        primitive = self.make(tmp_path)
        assert exclusive_of(primitive) == exclusive_of(self.make(tmp_path))
        if type(primitive).__module__.startswith("buildflow_nb."):
            assert bool(exclusive_of(primitive)) == (type(primitive).__name__ in EXCLUSIVE)


async def read_by_two(primitive: Any, count: int) -> tuple[list[object], list[object]]:
    """What each of two readers got, until all have come and both find nothing any more."""
    found: tuple[list[object], list[object]] = ([], [])

    async def read(source: Source, mine: list[object]) -> None:
        while True:
            batch = await source.pull()
            assert batch is not None
            mine += batch.items
            # Some of it is held for a moment, so that the other one could take it as well.
            await asyncio.sleep(0)
            await source.settle(batch.receipts or (), ok=True)
            if not batch.items and sum(map(len, found)) >= count:
                return

    async with primitive.source(driving.Env()) as one, primitive.source(driving.Env()) as other:
        await asyncio.gather(read(one, found[0]), read(other, found[1]))
    return found


def alike(one: Any, other: Any) -> bool:
    """Whether two primitives have the same thing open, so that one process has to have both."""
    return bool(exclusive_of(one)) and exclusive_of(one) == exclusive_of(other)


def kinds() -> Iterator[type]:
    """Every primitive of the package."""
    for found in pkgutil.walk_packages(buildflow_nb.io.__path__, "buildflow_nb.io."):
        for kind in vars(importlib.import_module(found.name)).values():
            ours = isinstance(kind, type) and kind.__module__ == found.name
            if ours and hasattr(kind, "primitive_id"):
                yield kind
