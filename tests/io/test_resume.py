"""Sources that go on where the last run was done: files, tables and queries."""

import json
import logging
import pickle
import shutil
import signal
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.local import File
from buildflow_nb.io.resuming.progress import MOST_SPANS, Progress, Spans
from tests.io.contract import pushed, run
from tests.io.contract_resume import WORKER, ResumeContract


class TestJson(ResumeContract):
    def make(self, folder):
        return File(folder / "in.jsonl", resume=True)

    def add(self, folder, numbers):
        with (folder / "in.jsonl").open("a") as file:
            file.writelines(f'{{"n": {n}}}\n' for n in numbers)

    def anew(self, folder, numbers):
        (folder / "in.jsonl").unlink()
        self.add(folder, numbers)

    def number(self, item):
        return json.loads(item)["n"]


class TestCsv(ResumeContract):
    def make(self, folder):
        return File(folder / "in.csv", resume=True)

    def add(self, folder, numbers):
        path = folder / "in.csv"
        if not path.exists():
            path.write_text("n,text\n")
        with path.open("a") as file:
            file.writelines(f'{n},"a\nfield"\n\n' if n % 7 == 0 else f"{n},x\n" for n in numbers)

    def anew(self, folder, numbers):
        (folder / "in.csv").write_text("n,text\n")
        self.add(folder, numbers)


class TestParquetFolder(ResumeContract):
    def make(self, folder):
        return File(folder / "in.parquet", resume=True)

    def add(self, folder, numbers):
        rows = [{"n": n} for n in numbers]
        middle = len(rows) // 3
        pushed(File(folder / "in.parquet"), rows[:middle], rows[middle:])

    def anew(self, folder, numbers):
        shutil.rmtree(folder / "in.parquet")
        self.add(folder, numbers)


class TestTable(ResumeContract):
    def make(self, folder):
        return DuckDBTable(folder / "shop.duckdb", "t", resume=True)

    def add(self, folder, numbers):
        pushed(DuckDBTable(folder / "shop.duckdb", "t"), [{"n": n} for n in numbers])

    def anew(self, folder, numbers):
        with duckdb.connect(str(folder / "shop.duckdb")) as connection:
            connection.execute("DROP TABLE t")
        self.add(folder, numbers)


class TestQuery(TestTable):
    def make(self, folder):
        query = "SELECT n, 2 * n AS twice FROM t ORDER BY n"
        return DuckDBQuery(folder / "shop.duckdb", query, resume=True)


def read(file, folder, count=1_000_000):
    """What a run is given, at most so many batches; it settles all."""

    async def go():
        found = []
        async with file.source(Env(positions=folder / "positions")) as source:
            for _ in range(count):
                batch = await source.pull()
                if batch is None:
                    break
                found += batch.items
                await source.settle(batch.receipts, ok=True)
        return found

    return run(go())


def test_a_line_without_its_end_is_read_when_it_has_one(tmp_path, caplog):
    path = tmp_path / "in.jsonl"
    file = File(path, resume=True)
    path.write_bytes(b'{"n": 1}\n{"n": 2')
    with caplog.at_level(logging.WARNING):
        assert read(file, tmp_path) == [b'{"n": 1}']
    assert f"the last line of {path} has no end yet" in caplog.text
    assert read(file, tmp_path) == []
    path.write_bytes(b'{"n": 1}\n{"n": 23}\n')
    assert read(file, tmp_path) == [b'{"n": 23}']


def test_a_row_without_its_end_is_read_when_it_has_one(tmp_path):
    path = tmp_path / "in.csv"
    file = File(path, resume=True)
    for text, rows in [
        ("n,text\n", []),
        ("n,text\n1,ab", []),
        ("n,text\n1,abc\n2", [{"n": "1", "text": "abc"}]),
        ("n,text\n1,abc\n2,d\n", [{"n": "2", "text": "d"}]),
    ]:
        path.write_text(text)
        assert read(file, tmp_path) == rows


def test_a_header_without_its_end_is_no_header(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("n,te")
    assert read(File(path, resume=True), tmp_path) == []
    path.write_text("n,text\n1,x\n")
    assert read(File(path, resume=True), tmp_path) == [{"n": "1", "text": "x"}]


def test_a_copy_of_a_file_is_the_same_file(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"n": 1}\n')
    read(File(path, resume=True), tmp_path)
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").rename(path)
    assert read(File(path, resume=True), tmp_path) == []


def test_a_part_between_those_that_are_done_is_read(tmp_path):
    folder = tmp_path / "in.parquet"
    folder.mkdir()
    for name in ("a", "c"):
        pq.write_table(
            pa.table({"n": [f"{name}{i}" for i in range(3)]}), folder / f"{name}.parquet"
        )
    file = File(folder, resume=True)
    assert [row["n"] for row in read(file, tmp_path)] == ["a0", "a1", "a2", "c0", "c1", "c2"]
    pq.write_table(pa.table({"n": ["b0", "b1"]}), folder / "b.parquet")
    (folder / "a.parquet").unlink()
    assert [row["n"] for row in read(file, tmp_path)] == ["b0", "b1"]


def test_a_single_parquet_file_goes_on_within_a_row_group(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": list(range(5_000))}), path, row_group_size=1_700)
    file = File(path, resume=True)
    first = read(file, tmp_path, 2)
    assert [row["n"] for row in first + read(file, tmp_path)] == list(range(5_000))


def test_a_single_parquet_file_that_was_replaced_is_read_anew(tmp_path, caplog):
    path = tmp_path / "in.parquet"
    file = File(path, resume=True)
    for first in (0, 500):
        pq.write_table(pa.table({"n": list(range(first, first + 100))}), path)
        with caplog.at_level(logging.WARNING):
            assert [row["n"] for row in read(file, tmp_path)] == list(range(first, first + 100))
    assert "File in.parquet is not any more what was read up to element 100" in caplog.text


def test_killed_and_written_by_key_each_is_there_once(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(2_000)))
    given = pickle.dumps((File(path, resume=True), tmp_path, "n")).hex()
    for portions in (3, 7):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, given], stdout=subprocess.PIPE, text=True
        )
        with process:
            for _ in range(portions):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    with subprocess.Popen([sys.executable, "-c", WORKER, given]) as process:
        assert process.wait() == 0
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        found = connection.execute("SELECT n FROM done ORDER BY n").fetchall()
    assert found == [(n,) for n in range(2_000)]


def test_a_position_is_written_while_it_runs(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    env = Env(positions=tmp_path / "positions")
    file = File(path, resume=True)

    async def go():
        async with file.source(env) as source:
            batch = await source.pull()
            await source.settle(batch.receipts[:1], ok=True)
            while not (tmp_path / "positions").exists():
                await source.settle([], ok=True)
                await source.backlog()
                await next_turn()

    async def next_turn():
        import asyncio

        await asyncio.to_thread(lambda: None)

    run(go())
    assert read(file, tmp_path) == [b'{"n": 2}']


def test_a_disk_that_takes_no_position_fails_no_element(tmp_path, monkeypatch, caplog):
    path = tmp_path / "in.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')

    def full(self, document):
        msg = "the position of a source cannot be kept: No space left on device"
        raise TemporaryError(msg)

    monkeypatch.setattr(Position, "write", full)
    with caplog.at_level(logging.WARNING):
        assert len(read(File(path, resume=True), tmp_path)) == 2
    assert "No space left on device; what was done since the last time is read again" in caplog.text
    monkeypatch.undo()
    assert len(read(File(path, resume=True), tmp_path)) == 2


class TestSpans:
    def test_numbers_in_any_order_are_joined(self):
        spans = Spans()
        for number in (5, 3, 4, 9, 0, 10, 8, 4):
            spans.add(number, number + 1)
        assert spans.spans() == [[0, 1], [3, 6], [8, 11]]
        spans.add_all([2, 1, 7, 6])
        assert spans.spans() == [[0, 11]]

    @pytest.mark.parametrize("seed", range(5))
    def test_they_are_a_set(self, seed):
        import random

        rng = random.Random(seed)  # noqa: S311
        spans, known = Spans(), set()
        for _ in range(300):
            start = rng.randrange(200)
            end = start + rng.randrange(1, 8)
            spans.add(start, end)
            known |= set(range(start, end))
            assert {n for n in range(220) if n in spans} == known
            first = rng.randrange(200)
            assert spans.first_gap(first) == next(n for n in range(first, 300) if n not in known)
            assert spans.meets(first, first + 5) == bool(known & set(range(first, first + 5)))

    def test_there_are_never_too_many(self):
        spans = Spans([[0, 100]])
        for number in range(200, 200 + 4 * MOST_SPANS, 2):
            spans.add(number, number + 1)
        assert len(spans.spans()) <= MOST_SPANS
        assert spans.first_gap(0) == 100


class TestProgress:
    def test_an_element_that_is_never_done_keeps_the_place_and_little_else(self):
        from buildflow_nb.io.resuming.offset import Offset

        progress = Progress()
        for batch in range(5_000):
            first = batch * 1_000
            progress.begin(Offset("", first, {"byte": first}), 1_000)
            progress.reach(Offset("", first + 1_000, {"byte": first + 1_000}))
            progress.settle([("", n) for n in range(first, first + 1_000, 500) if n != 500])
            progress.settle([("", n) for n in range(first, first + 1_000) if n != 500])
        document = progress.document()
        begun, reached = [0, {"byte": 0}, 0], [5_000_000, {"byte": 5_000_000}, 0]
        assert document["pieces"][""] == [begun, reached, [[0, 500], [501, 5_000_000]]]
        progress.settle([("", 500)])
        assert progress.document()["pieces"][""] == [reached, reached, []]


def run_of(source, count: int, bad=()):
    """One run with positions kept: the first `count` elements, of which some are given back."""

    async def go():
        found = []
        async with source as opened:
            while len(found) < count and (batch := await opened.pull()) is not None:
                for item, receipt in zip(batch.items, batch.receipts, strict=True):
                    found.append(item)
                    await opened.settle([receipt], ok=len(found) - 1 not in bad)
        return found

    return run(go())


@pytest.mark.parametrize("bad", [0, 50, 98], ids=["first", "middle", "last"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("change", ["others", "one more", "one less"])
def test_what_is_left_out_is_left_out_only_of_the_same_file(tmp_path, kind, bad, change, caplog):
    path = tmp_path / f"in.{kind}"
    head = ["n"] if kind == "csv" else []

    def write(numbers):
        path.write_text("".join(f"{line}\n" for line in [*head, *numbers]))

    def values(found):
        return [int(item["n"]) if kind == "csv" else int(item) for item in found]

    before = list(range(100, 199))
    write(before)
    env = Env(positions=tmp_path / "positions")
    file = File(path, resume=True)
    assert values(run_of(file.source(env), 1_000, bad={bad})) == before
    if change == "others":
        after = list(range(500, 599))
    else:
        after = [*before[:bad], *([777, 778] if change == "one more" else []), *before[bad + 1 :]]
    write(after)
    again = values(run_of(file.source(env), 1_000))
    known = set(before) - {before[bad]}
    assert set(after) - known <= set(again)
    assert run_of(file.source(env), 1_000) == []


def test_a_query_that_gives_other_rows_is_read_from_its_beginning(tmp_path, caplog):
    path, env = tmp_path / "x.duckdb", Env(positions=tmp_path / "positions")

    def fill(first):
        with duckdb.connect(str(path)) as connection:
            connection.execute(
                "CREATE OR REPLACE TABLE t AS SELECT i + ? AS n FROM range(100) r(i)", [first]
            )

    query = DuckDBQuery(path, "SELECT n FROM t ORDER BY n", resume=True)
    fill(0)
    assert len(run_of(query.source(env), 1_000, bad={0})) == 100
    assert [one["n"] for one in run_of(query.source(env), 1_000)] == [0]
    fill(0)
    assert run_of(query.source(env), 1_000) == []
    fill(1_000)
    assert [one["n"] for one in run_of(query.source(env), 1_000)] == list(range(1_000, 1_100))
    assert "is not any more what was read" in caplog.text
