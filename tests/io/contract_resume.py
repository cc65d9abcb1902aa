"""What every source keeps that goes on where the last run was done."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from buildflow_nb.core.primitive import Env
from tests.io.driving import run

SIZE = 3_500  # several batches
# Reads, writes each element to a DuckDB table, and settles it, in small portions; killed meanwhile.
WORKER = """
import asyncio, pickle, sys
from pathlib import Path
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.duckdb import DuckDBTable

primitive, folder, key = pickle.loads(bytes.fromhex(sys.argv[1]))
decode = compile_decoder(dict, primitive.source_wire, "worker").one
table = DuckDBTable(folder / "out.duckdb", "done", key=key)

async def go():
    env = Env(positions=folder / "positions")
    async with primitive.source(env) as source, table.sink(env, None) as sink:
        while (batch := await source.pull()) is not None:
            for at in range(0, len(batch.items), 100):
                items = batch.items[at:at + 100]
                await sink.push([{"n": int(decode(item)["n"])} for item in items])
                await source.settle(batch.receipts[at:at + 100], ok=True)
                print(len(items), flush=True)

asyncio.run(go())
"""


class ResumeContract:
    """`add` puts rows `{"n": n}` behind those that are there, `replace` others in their place."""

    def make(self, folder: Path) -> Any:
        """A primitive with `resume=True`."""
        raise NotImplementedError

    def add(self, folder: Path, numbers: range) -> None:
        """Add rows at the end."""
        raise NotImplementedError

    def anew(self, folder: Path, numbers: range) -> None:
        """Put other rows there."""
        raise NotImplementedError

    def number(self, item: Any) -> int:
        """The number in an element."""
        return int(item["n"])

    def read(self, folder, refuse=(), most=1_000_000, close_early=False):
        """The numbers that a run is given; it settles all but those of `refuse`."""

        async def go():
            found = []
            env = Env(positions=folder / "positions")
            async with self.make(folder).source(env) as source:
                while len(found) < most and (batch := await source.pull()) is not None:
                    numbers = [self.number(item) for item in batch.items]
                    found += numbers
                    pairs = list(zip(numbers, batch.receipts, strict=True))
                    kept = [receipt for number, receipt in pairs if number not in refuse]
                    await source.settle(kept[::-1], ok=True)
                    back = [receipt for number, receipt in pairs if number in refuse]
                    await source.settle(back, ok=False)
            return found

        return run(go())

    def test_what_is_done_is_not_read_again(self, tmp_path):
        self.add(tmp_path, range(SIZE))
        assert self.read(tmp_path) == list(range(SIZE))
        assert self.read(tmp_path) == []
        assert self.read(tmp_path) == []

    def test_what_was_added_since_is_read(self, tmp_path):
        self.add(tmp_path, range(10))
        assert self.read(tmp_path) == list(range(10))
        self.add(tmp_path, range(10, SIZE))
        assert self.read(tmp_path) == list(range(10, SIZE))
        self.add(tmp_path, range(SIZE, SIZE + 1))
        assert self.read(tmp_path) == [SIZE]

    def test_what_was_given_back_is_read_again_and_nothing_else(self, tmp_path):
        self.add(tmp_path, range(SIZE))
        refused = {0, 5, 6, 15, 16, 17, 999, 1_000, 1_016, 2_000, SIZE - 1}
        assert self.read(tmp_path, refused) == list(range(SIZE))
        self.add(tmp_path, range(SIZE, SIZE + 5))
        again = [*sorted(refused), *range(SIZE, SIZE + 5)]
        assert self.read(tmp_path, {1_000}) == again
        assert self.read(tmp_path) == [1_000]
        assert self.read(tmp_path) == []

    def test_what_was_not_reached_is_read(self, tmp_path):
        self.add(tmp_path, range(SIZE))
        first = self.read(tmp_path, most=500)
        assert first == list(range(len(first)))
        assert self.read(tmp_path) == list(range(len(first), SIZE))

    def test_what_was_pulled_and_never_settled_is_read_again(self, tmp_path):
        self.add(tmp_path, range(SIZE))

        async def go():
            async with self.make(tmp_path).source(Env(positions=tmp_path / "positions")) as source:
                first = await source.pull()
                second = await source.pull()
                await source.settle(second.receipts, ok=True)
                return len(first.items), len(second.items)

        first, second = run(go())
        assert self.read(tmp_path) == [*range(first), *range(first + second, SIZE)]

    def test_origins_are_those_of_a_run_without(self, tmp_path):
        self.add(tmp_path, range(SIZE))
        self.read(tmp_path, most=500, refuse={3})

        async def go(primitive):
            found = {}
            async with primitive.source(Env(positions=tmp_path / "positions")) as source:
                while (batch := await source.pull()) is not None:
                    for i, item in enumerate(batch.items):
                        found[self.number(item)] = batch.origin(i)
            return found

        primitive = self.make(tmp_path)
        every = run(go(replace(primitive, resume=False)))
        left = run(go(primitive))
        assert 3 in left
        assert left.items() <= every.items()

    @pytest.mark.parametrize("size", [SIZE, SIZE // 2, SIZE * 2])
    def test_what_was_replaced_is_read_from_its_beginning_and_said(self, tmp_path, caplog, size):
        self.add(tmp_path, range(SIZE))
        self.read(tmp_path)
        self.anew(tmp_path, range(50_000, 50_000 + size))
        with caplog.at_level(logging.WARNING):
            assert self.read(tmp_path) == list(range(50_000, 50_000 + size))
        assert "is not any more what was read up to element" in caplog.text
        assert self.read(tmp_path) == []

    @pytest.mark.parametrize("text", ["", "{", "[1]", '{"version": 1}', '{"version": 2, "x": 1}'])
    def test_a_position_that_makes_no_sense_counts_as_none(self, tmp_path, text):
        self.add(tmp_path, range(100))
        self.read(tmp_path)
        (document,) = (tmp_path / "positions").iterdir()
        document.write_text(text)
        assert self.read(tmp_path) == list(range(100))

    def test_each_processor_has_its_own(self, tmp_path):
        self.add(tmp_path, range(100))
        self.read(tmp_path)
        (tmp_path / "positions").rename(tmp_path / "of another")
        assert self.read(tmp_path) == list(range(100))

    def test_where_nothing_is_kept_all_is_read(self, tmp_path):
        self.add(tmp_path, range(100))

        async def go():
            async with self.make(tmp_path).source(Env()) as source:
                return [self.number(item) for item in (await source.pull()).items]

        first = run(go())
        assert run(go()) == first

    def test_a_run_that_is_killed_loses_nothing(self, tmp_path):
        import pickle

        self.add(tmp_path, range(SIZE))
        given = pickle.dumps((self.make(tmp_path), tmp_path, None)).hex()
        said = 0
        for portions in (1, 9, 14):
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, given], stdout=subprocess.PIPE, text=True
            )
            with process:
                for _ in range(portions):
                    said += int(process.stdout.readline())
                os.kill(process.pid, signal.SIGKILL)
        with subprocess.Popen([sys.executable, "-c", WORKER, given]) as process:
            assert process.wait() == 0
        counts = self.written(tmp_path)
        assert sorted(counts) == list(range(SIZE))
        # What comes twice is what was done shortly before a kill, and the portion under way.
        assert counts.total() - SIZE <= said + 3 * 100
        assert self.read(tmp_path) == []

    def written(self, folder):
        """How often each number was written."""
        import duckdb

        with duckdb.connect(str(folder / "out.duckdb")) as connection:
            return Counter(n for (n,) in connection.execute("SELECT n FROM done").fetchall())
