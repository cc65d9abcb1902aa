"""CSV files."""

import csv
import datetime as dt
from dataclasses import dataclass, replace

import pytest

from buildflow_nb.core.errors import PartialPushError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Malformed, Wire
from buildflow_nb.io.files.text_file import TextFile
from buildflow_nb.io.local import File
from tests.io.contract import SinkContract, SourceContract, pulled, pushed, run
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

RECORDS = [{"x": str(i), "name": f"row {i}"} for i in range(2_500)]


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestSource(SourceContract):
    reads = (TextFile, "take")
    expected = RECORDS

    def make(self, folder):
        return File(folder / "in.csv")

    def prepare(self, folder):
        lines = [f"{row['x']},{row['name']}\n" for row in self.expected]
        (folder / "in.csv").write_text("x,name\n" + "".join(lines))
        return self.make(folder)


class TestSink(SinkContract):
    writes_to = "out.csv"
    element = Point
    samples = POINTS
    bad = Point("\ud800", "a lone surrogate has no UTF-8")

    def make(self, folder):
        return File(folder / "out.csv")

    def read(self, folder):
        return [Point(int(row["x"]), row["name"]) for row in rows(folder / "out.csv")]


class TestUntypedSink(TestSink):
    element = None
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        return [{"x": int(row["x"]), "name": row["name"]} for row in rows(folder / "out.csv")]


def read_text(tmp_path, data, **options):
    path = tmp_path / "in.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return pulled(File(path, **options))


def origins(primitive):
    async def go():
        async with primitive.source(Env()) as source:
            found = []
            while (batch := await source.pull()) is not None:
                found += [batch.origin(i) for i in range(len(batch.items))]
            return found

    return run(go())


@pytest.mark.parametrize(
    "data",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\n1,2\n3,4",
        "\ufeffa,b\n1,2\n3,4\n",
        '\ufeff"a",b\n1,"2"\n3,4\n',
        "a,b\n\n1,2\n\n\n3,4\n\n",
    ],
    ids=["lf", "crlf", "no last end", "bom", "bom and quotes", "empty lines"],
)
def test_line_ends_and_marks(tmp_path, data):
    assert read_text(tmp_path, data) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


@pytest.mark.parametrize("data", ["", "a,b\n", "\n\n", "\ufeff"])
def test_a_file_without_rows_ends_at_once(tmp_path, data):
    assert read_text(tmp_path, data) == []


def test_quotes_commas_and_lines_in_fields(tmp_path):
    found = read_text(tmp_path, 'a,b\n"1, ""one""","x\ny"\n2,z\n')
    assert found == [{"a": '1, "one"', "b": "x\ny"}, {"a": "2", "b": "z"}]


def test_a_row_of_another_width_fails_alone(tmp_path):
    found = read_text(tmp_path, "a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert found == [
        {"a": "1", "b": "2"},
        Malformed(["3"], "1 columns, but the header has 2"),
        Malformed(["4", "5", "6"], "3 columns, but the header has 2"),
        {"a": "7", "b": "8"},
    ]


def test_a_line_that_is_no_text_fails_alone(tmp_path):
    found = read_text(tmp_path, b"a,b\n1,2\n\xff\xfe,3\n4,5\n")
    assert [type(item) for item in found] == [dict, Malformed, dict]
    assert found[1].raw == b"\xff\xfe,3\n"
    assert found[1].reason.startswith("not UTF-8")


def test_a_field_that_is_too_long_fails_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("buildflow_nb.io.files.csv_rows.FIELD_BYTES", 100)
    limit = csv.field_size_limit(100)
    try:
        found = read_text(tmp_path, f"a,b\n{'x' * 200},2\n3,4\n")
    finally:
        csv.field_size_limit(limit)
    assert isinstance(found[0], Malformed)
    assert "field larger than field limit" in found[0].reason
    assert found[1] == {"a": "3", "b": "4"}


def test_a_row_of_ten_megabytes(tmp_path):
    big = "x" * 10_000_000
    assert read_text(tmp_path, f"a,b\n{big},2\n3,4\n")[0] == {"a": big, "b": "2"}


def test_origins_name_lines(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(b'a,b\n1,2\n"x\ny",3\n\n\xff,1\n4\n5,6\n')
    assert origins(File(path)) == [f"in.csv line {n}" for n in (2, 3, 6, 7, 8)]


def test_origins_go_on_over_batches(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("a\n" + "".join(f"{i}\n" for i in range(3_000)))
    assert origins(File(path)) == [f"in.csv line {n}" for n in range(2, 3_002)]


def test_texts_for_missing_values_count_as_empty(tmp_path):
    assert read_text(tmp_path, "a,b\nNA,2\n3,NULL\n", missing=("NA", "NULL")) == [
        {"a": "", "b": "2"},
        {"a": "3", "b": ""},
    ]


def test_backlog_is_guessed_from_the_size(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("a\n" + "12345\n" * 10_000)

    async def go():
        async with File(path).source(Env()) as source:
            await source.pull()
            batch = await source.pull()
            return await source.backlog(), batch

    left, _ = run(go())
    assert 8_500 < left < 9_500


def test_a_missing_file_is_waited_for(tmp_path):
    path = tmp_path / "late.csv"

    async def go():
        async with File(path).source(Env()) as source:
            with pytest.raises(TemporaryError, match=r"late\.csv does not exist \(yet\)"):
                await source.pull()
            path.write_text("a\n1\n")
            return (await source.pull()).items

    assert list(run(go())) == [{"a": "1"}]


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "in.csv").mkdir()
    with pytest.raises(PermanentError, match=r"in\.csv cannot be read: it is a folder"):
        pulled(File(tmp_path / "in.csv"))
    with pytest.raises(PermanentError, match=r"in\.csv cannot be written: Is a directory"):
        pushed(File(tmp_path / "in.csv"), [{"a": 1}])


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(PermanentError, match="two columns named 'a'; rename one"):
        read_text(tmp_path, "a,b,a\n1,2,3\n")


def test_utf16_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="is UTF-16, which cannot be read; save it as UTF-8"):
        read_text(tmp_path, "a,b\n1,2\n".encode("utf-16"))


def test_every_type_comes_back(tmp_path):
    file = File(tmp_path / "all.csv")
    items = [replace(item, either="5") for item in everything()]  # text cannot tell int | str
    pushed(file, items, element=Everything)
    assert file.source_wire is Wire.ROW
    assert decoded(Everything, file, pulled(file)) == items


@pytest.mark.parametrize("kind", POINT_TYPES)
@pytest.mark.parametrize("declared", [True, False])
def test_every_record_type(tmp_path, kind, declared):
    file = File(tmp_path / "points.csv")
    pushed(file, [kind(x=1, name="one")], element=kind if declared else None)
    assert pulled(file) == [{"x": "1", "name": "one"}]


def test_plain_values_have_a_column_of_their_own(tmp_path):
    pushed(File(tmp_path / "n.csv"), [1, 2], element=int)
    assert rows(tmp_path / "n.csv") == [{"value": "1"}, {"value": "2"}]


def test_carriage_returns_survive(tmp_path):
    pushed(File(tmp_path / "r.csv"), [{"a": "x\ry", "b": None}, {"a": "\r\n", "b": 2}])
    assert pulled(File(tmp_path / "r.csv")) == [{"a": "x\ry", "b": ""}, {"a": "\r\n", "b": "2"}]


def test_a_single_empty_column_is_no_empty_line(tmp_path):
    pushed(File(tmp_path / "r.csv"), [{"a": None}, {"a": "x"}, {"a": ""}])
    assert pulled(File(tmp_path / "r.csv")) == [{"a": ""}, {"a": "x"}, {"a": ""}]


def test_the_header_is_written_once_and_its_order_kept(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("name,x\nzero,0\n")
    pushed(File(path), [Point(1, "one")], element=Point)
    pushed(File(path), [{"x": 2, "name": "two"}])
    assert path.read_text() == "name,x\nzero,0\none,1\ntwo,2\n"


def test_a_file_with_other_columns_is_refused_when_opened(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("name,y\nzero,0\n")
    words = r"out\.csv has the columns name, y, but the elements have x, name; write elsewhere"
    with pytest.raises(PermanentError, match=words):
        pushed(File(path), element=Point)
    assert path.read_text() == "name,y\nzero,0\n"


def test_an_unknown_column_is_named(tmp_path):
    with pytest.raises(PartialPushError) as caught:
        pushed(File(tmp_path / "o.csv"), [{"a": 1}], [{"a": 2}, {"a": 3, "b": 4}])
    assert str(caught.value.failed[1]) == "no column for field 'b'; the columns are a"
    assert rows(tmp_path / "o.csv") == [{"a": "1"}, {"a": "2"}]


def test_absent_fields_are_empty(tmp_path):
    pushed(File(tmp_path / "o.csv"), [{"a": 1, "b": 2}, {"b": 3}])
    assert rows(tmp_path / "o.csv") == [{"a": "1", "b": "2"}, {"a": "", "b": "3"}]


def test_folders_are_made(tmp_path):
    pushed(File(tmp_path / "new" / "folder" / "o.csv"), [{"a": 1}])
    assert rows(tmp_path / "new" / "folder" / "o.csv") == [{"a": "1"}]


def test_a_row_of_ten_megabytes_is_written(tmp_path):
    big = "ü" * 5_000_000
    pushed(File(tmp_path / "o.csv"), [{"a": big}])
    assert pulled(File(tmp_path / "o.csv")) == [{"a": big}]


def test_times_are_written_as_iso(tmp_path):
    @dataclass
    class At:
        at: dt.datetime

    at = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    pushed(File(tmp_path / "o.csv"), [At(at)], element=At)
    assert rows(tmp_path / "o.csv") == [{"at": "2024-01-01 12:00:00+00:00"}]
