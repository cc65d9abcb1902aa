"""What files of all formats have in common, JSON Lines, and Parquet."""

import json

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Wire
from buildflow_nb.io.files import parquet
from buildflow_nb.io.files.text_file import TextFile
from buildflow_nb.io.local import File
from buildflow_nb.types.portable import FileFormat
from tests.io.contract import SinkContract, SourceContract, lying_there, pulled, pushed, run
from tests.io.records import (
    POINT_TYPES,
    POINTS,
    UNTYPED,
    UNTYPED_BAD,
    Everything,
    Point,
    decoded,
    everything,
)

RECORDS = [{"x": i, "name": f"row {i}"} for i in range(2_500)]


LINES = [json.dumps(row).encode() for row in RECORDS]


def values(file):
    """What a processor without an annotation gets from a file."""
    return decoded(None, file, pulled(file))


class TestJsonSource(SourceContract):
    reads = (TextFile, "take")
    expected = LINES

    def make(self, folder):
        return File(folder / "in.json")

    def prepare(self, folder):
        (folder / "in.json").write_bytes(b"\n".join(LINES))
        return self.make(folder)


class TestJsonSink(SinkContract):
    writes_to = "out.jsonl"
    element = Point
    samples = POINTS
    bad = object()

    def make(self, folder):
        return File(folder / "out.jsonl")

    def read(self, folder):
        lines = (folder / "out.jsonl").read_text().splitlines()
        return [Point(**json.loads(line)) for line in lines]


class TestParquetSource(SourceContract):
    reads = (parquet, "record_rows")
    expected = RECORDS

    def make(self, folder):
        return File(folder / "in.parquet")

    def prepare(self, folder):
        pq.write_table(pa.Table.from_pylist(RECORDS), folder / "in.parquet")
        return self.make(folder)


class TestParquetFolderSource(TestParquetSource):
    def prepare(self, folder):
        pushed(File(folder / "in.parquet"), RECORDS[:1_100], RECORDS[1_100:])
        return self.make(folder)


class TestParquetSink(SinkContract):
    writes_to = "out.parquet"
    element = Point
    samples = POINTS
    bad = Point("no number", "x")

    def make(self, folder):
        return File(folder / "out.parquet")

    def read(self, folder):
        found = pq.read_table(folder / "out.parquet").to_pylist()
        return [Point(**row) for row in found]


class TestUntypedParquetSink(TestParquetSink):
    element = None
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        return pq.read_table(folder / "out.parquet").to_pylist()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("a.csv", None, FileFormat.CSV),
        ("a.CSV", None, FileFormat.CSV),
        ("a.json", None, FileFormat.JSON),
        ("a.jsonl", None, FileFormat.JSON),
        ("a.ndjson", None, FileFormat.JSON),
        ("a.parquet", None, FileFormat.PARQUET),
        ("a", "csv", FileFormat.CSV),
        ("a", "PARQUET", FileFormat.PARQUET),
        ("a.csv", "Json", FileFormat.JSON),
        ("a", FileFormat.JSON, FileFormat.JSON),
    ],
)
def test_the_format_is_given_or_told_by_the_ending(name, given, expected):
    assert File(name, given).file_format is expected


def test_an_unknown_format_is_refused():
    with pytest.raises(DeclarationError, match=r"'a\.txt': its ending is no format; give"):
        File("a.txt")
    with pytest.raises(DeclarationError, match="must be one of 'parquet', 'csv', 'json', got 'xm"):
        File("a.csv", "xml")


def test_paths_are_absolute_from_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert File("x/../a.csv").file_path == str(tmp_path / "a.csv")
    assert File("~/a.csv").file_path == str(tmp_path / "home" / "a.csv")
    assert File("a.csv") == File(tmp_path / "a.csv")
    assert File("a.csv").primitive_id == str(tmp_path / "a.csv")
    assert File("x/a.csv").label == "a.csv"


def test_wires():
    assert File("a.csv").source_wire is Wire.ROW
    assert File("a.json").source_wire is Wire.JSON
    assert File("a.parquet").source_wire is Wire.RECORD
    assert {File(f"a.{f.value}").sink_wire for f in FileFormat} == {Wire.OBJECT}


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_a_missing_file_is_waited_for(tmp_path, ending):
    path = tmp_path / f"late.{ending}"

    async def go():
        async with File(path).source(Env()) as source:
            with pytest.raises(TemporaryError, match=r"late\.\w+ does not exist \(yet\)"):
                await source.pull()
            async with File(path).sink(Env(), Point) as sink:
                await sink.push([Point(1, "one")])
            return (await source.pull()).items

    assert decoded(None, File(path), run(go())) == [{"x": 1, "name": "one"}]


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_every_type_comes_back(tmp_path, ending):
    file = File(tmp_path / f"all.{ending}")
    pushed(file, everything(), element=Everything)
    assert decoded(Everything, file, pulled(file)) == everything()


@pytest.mark.parametrize("ending", ["json", "parquet"])
@pytest.mark.parametrize("kind", POINT_TYPES)
@pytest.mark.parametrize("declared", [True, False])
def test_every_record_type(tmp_path, ending, kind, declared):
    file = File(tmp_path / f"points.{ending}")
    pushed(file, [kind(x=1, name="one")], element=kind if declared else None)
    assert values(file) == [{"x": 1, "name": "one"}]


def test_json_lines_are_told_apart_and_not_decoded(tmp_path):
    path = tmp_path / "in.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n{"a": \n [1, 2] \r\n\xff\n"text"')

    async def go():
        async with File(path).source(Env()) as source:
            batch = await source.pull()
            return batch.items, [batch.origin(i) for i in range(len(batch.items))]

    items, origins = run(go())
    assert items == [b'{"a": 1}', b'{"a":', b"[1, 2]", b"\xff", b'"text"']
    assert origins == [f"in.json line {n}" for n in (1, 3, 4, 5, 6)]


def test_json_values_of_any_kind_are_lines(tmp_path):
    class Own:
        def to_json(self):
            return {"own": True}

    items = ["two\nlines", 1, None, {"a": [b"raw"]}, Own()]
    pushed(File(tmp_path / "o.json"), items)
    assert (tmp_path / "o.json").read_bytes().splitlines() == [
        b'"two\\nlines"',
        b"1",
        b"null",
        b'{"a":["cmF3"]}',
        b'{"own":true}',
    ]


def test_a_json_line_of_ten_megabytes(tmp_path):
    big = {"a": "ü" * 5_000_000}
    pushed(File(tmp_path / "o.json"), [big])
    assert values(File(tmp_path / "o.json")) == [big]


def test_parquet_parts_are_read_by_others(tmp_path):
    import duckdb
    import pandas as pd

    path = tmp_path / "o.parquet"
    pushed(File(path), POINTS[:2], POINTS[2:], element=Point)
    assert pd.read_parquet(path)["x"].tolist() == [1, 2, 3]
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT x FROM '{path}/*.parquet' ORDER BY x").fetchall()
    assert found == [(1,), (2,), (3,)]
    assert [p.name[:10] for p in sorted(path.iterdir())] == ["part-00000", "part-00001"]


def test_parquet_of_pandas_is_read(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-01"]).astype("datetime64[ns]"), "b": [1]})
    frame.to_parquet(tmp_path / "in.parquet")
    (found,) = pulled(File(tmp_path / "in.parquet"))
    assert found["at"].isoformat() == "2024-01-01T00:00:00"


def test_parquet_refuses_what_it_cannot_continue(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "one.parquet")
    with pytest.raises(PermanentError, match="is a single Parquet file, which cannot grow"):
        pushed(File(tmp_path / "one.parquet"), element=Point)
    pushed(File(tmp_path / "o.parquet"), [{"x": 1, "y": 2}])
    with pytest.raises(PermanentError, match="has the columns x, y, but the elements have x, name"):
        pushed(File(tmp_path / "o.parquet"), element=Point)
    pushed(File(tmp_path / "t.parquet"), [{"x": "text", "name": "y"}])
    with pytest.raises(PermanentError, match="holds string in column 'x', but the elements have i"):
        pushed(File(tmp_path / "t.parquet"), [Point(1, "one")], element=Point)


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "in.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(PermanentError, match=r"in\.parquet is not Parquet"):
        pulled(File(tmp_path / "in.parquet"))


def test_a_number_with_a_fraction_is_no_int(tmp_path):
    from buildflow_nb.core.errors import PartialPushError

    with pytest.raises(PartialPushError, match=r"column 'x' \(BIGINT\): expected int, got 1\.5"):
        pushed(File(tmp_path / "o.parquet"), [Point(1.5, "x")], element=Point)


def test_backlogs(tmp_path):
    pushed(File(tmp_path / "o.parquet"), RECORDS)

    async def go():
        async with File(tmp_path / "o.parquet").source(Env()) as source:
            await source.pull()
            return await source.backlog()

    assert run(go()) == 1_500


def test_json_is_what_msgspec_reads(tmp_path):
    pushed(File(tmp_path / "o.json"), everything(), element=Everything)
    lines = (tmp_path / "o.json").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Everything) for line in lines] == everything()


def test_a_full_disk_leaves_no_part_behind(tmp_path, monkeypatch):
    path = tmp_path / "o.parquet"
    pushed(File(path), POINTS[:1], element=Point)

    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("buildflow_nb.io.files.parquet.os.fsync", full)
    with pytest.raises(TemporaryError, match=r"o\.parquet cannot be written: No space left"):
        pushed(File(path), POINTS[1:], element=Point)
    monkeypatch.undo()
    assert [p.name[:10] for p in path.iterdir()] == ["part-00000"]
    assert pulled(File(path)) == [{"x": 1, "name": "one"}]


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_a_file_that_another_has_replaced_is_looked_at_again(tmp_path, ending):
    path = tmp_path / f"o.{ending}"

    async def go():
        async with File(path).sink(Env(), Point) as sink:
            await sink.push(POINTS[:1])
            path.write_bytes("x,name".encode("utf-16"))
            before = lying_there(tmp_path)
            with pytest.raises(PermanentError, match=r"o\.\w+ is UTF-16, so nothing is appended"):
                await sink.push(POINTS[1:])
            assert lying_there(tmp_path) == before

    run(go())


@pytest.mark.parametrize("text", ["x,name\n1,one", "[\n{}\n]", "{", "name: x"])
def test_what_is_not_json_lines_is_not_continued_as_such(tmp_path, text):
    path = tmp_path / "o.json"
    path.write_text(text)
    with pytest.raises(PermanentError, match=r"o\.json is not JSON Lines"):
        pushed(File(path), POINTS, element=Point)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
