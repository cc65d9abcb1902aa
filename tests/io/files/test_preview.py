"""The first rows of what may be large, by reading little of it."""

import gzip
import io
import json
import tracemalloc
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.resource_look import Asked, Binary, Standing
from buildflow_nb.io.files import preview as preview_module
from buildflow_nb.io.files.preview import HEAD, Ranged, preview
from buildflow_nb.io.local import File
from tests.io.contract import run


class Read:
    """Bytes that count how many of them are read."""

    def __init__(self, name, body, size=None):
        self.body, self.read_bytes = body, 0
        self.ranged = Ranged(name, len(body) if size is None else size, self.read)

    def read(self, start, length):
        self.read_bytes += length
        return self.body[start : start + length]


def names(content):
    return [column.name for column in content.columns]


def test_of_five_gigabytes_of_csv_a_piece_is_read():
    line = b"1,Fig,2.40\n"
    read = Read("x.csv", b"id,item,total\n" + line * 100_000, size=5 << 30)
    content = preview(read.ranged, 20)
    assert names(content) == ["id", "item", "total"]
    assert content.rows == ((("1", "Fig", "2.40"),) * 20)
    assert read.read_bytes == HEAD


def test_of_a_large_parquet_file_a_piece_is_read():
    rows = 2_000_000
    file = io.BytesIO()
    table = pa.table({"id": pa.array(range(rows)), "x": pa.array([str(i) for i in range(rows)])})
    pq.write_table(table, file, row_group_size=rows, compression="none", use_dictionary=False)
    read = Read("x.parquet", file.getvalue())
    content = preview(read.ranged, 3)
    assert content.rows == ((0, "0"), (1, "1"), (2, "2"))
    assert content.said == "first 3 of 2,000,000 rows"
    assert [column.type for column in content.columns] == ["int64", "string"]
    assert len(read.body) > 30_000_000
    assert read.read_bytes < 8_000_000


def test_a_parquet_file_whose_first_rows_are_too_large_says_so(monkeypatch):
    file = io.BytesIO()
    pq.write_table(pa.table({"x": [b"z" * 3_000_000]}), file, compression="none")
    monkeypatch.setattr(preview_module, "MOST_PARQUET", 1 << 20)
    content = preview(Read("x.parquet", file.getvalue()).ranged, 3)
    assert "not shown" in content.said


def parquet(table, **how):
    file = io.BytesIO()
    pq.write_table(table, file, **how)
    return Read("x.parquet", file.getvalue()).ranged


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.string_view()])
def test_a_text_that_stands_once_for_many_rows_is_not_spread_out(kind):
    large = "ü" * 100_000
    indices = pa.array([0] * 1_000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(indices, pa.array([large])).cast(pa.string()).cast(kind)
    what = parquet(pa.table({"x": texts}), compression="zstd")
    assert what.size < 1_000
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    content = preview(what, 1_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert content.rows == ((f"{'ü' * 2_000}…",),) * 1_000
    assert content.said == ""
    assert peak < 30_000_000
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_rows_are_opened_up_to_a_bound_and_more_of_them_are_told(monkeypatch):
    monkeypatch.setattr(preview_module, "MOST_UNPACKED", 1 << 20)
    rows = [f"{i:03}" * 10_000 for i in range(200)]
    what = parquet(pa.table({"x": rows}), compression="zstd", use_dictionary=False)
    content = preview(what, 100)
    assert 30 <= len(content.rows) < 100
    assert content.rows[-1][0].startswith(f"{len(content.rows) - 1:03}")
    assert content.said == (
        f"first {len(content.rows)} of 200 rows; more of them are too large to be shown"
    )


def test_letters_are_shown_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(preview_module, "MOST_LETTERS", 20_000)
    content = preview(parquet(pa.table({"x": ["z" * 5_000] * 100})), 100)
    assert len(content.rows) == 10
    assert "first 10 of 100 rows; more" in content.said


def test_of_a_long_list_its_beginning_is_shown():
    column = pa.array([[list(range(5_000)), None, ["x"] * 3][:1], [[1]]])
    content = preview(parquet(pa.table({"x": column})), 2)
    ((first,),), ((second,),) = content.rows[:1], content.rows[1:]
    assert first[0][:3] == [0, 1, 2]
    assert first[0][-1] == "…"
    assert len(first[0]) <= 1_001
    assert second == [[1]]


def test_nested_values_are_shown_as_they_are():
    kinds = {
        "m": pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string())),
        "s": pa.array([{"a": "x", "b": [1.5]}, {"a": None, "b": None}]),
        "b": pa.array([b"\xff" * 9_000, b"plain"]),
        "c": pa.array(["x", None]).dictionary_encode(),
    }
    content = preview(parquet(pa.table(kinds)), 2)
    assert content.rows[0] == (
        *([("k", "v")], {"a": "x", "b": [1.5]}, Binary(9_000, b"\xff" * 16), "x"),
    )
    assert content.rows[1] == (None, {"a": None, "b": None}, "plain", None)


def test_times_that_python_does_not_have_are_told():
    table = pa.table(
        {
            "day": pa.array([2**30, 1], pa.date32()),
            "time": pa.array([4 * 10**17, 0], pa.timestamp("us")),
            "zone": pa.array([7, None], pa.timestamp("us", "Nowhere/Land")),
            "many": pa.array([[2**62], [0]], pa.list_(pa.timestamp("us"))),
        }
    )
    content = preview(parquet(table), 2)
    assert content.rows[0][0] == "<value out of range: 1073741824>"
    assert content.rows[0][1] == "14645-06-30 15:06:40.000000"
    assert content.rows[0][2].startswith("7 (")
    assert content.rows[0][3] == [f"<value out of range: {2**62}>"]
    assert content.rows[1][:2] == (date(1970, 1, 2), datetime(1970, 1, 1))
    assert content.said == ""


def test_columns_of_one_name_are_numbered():
    table = pa.table([pa.array([n]) for n in range(4)], names=["a", "a", "a (2)", "a"])
    content = preview(parquet(table), 5)
    assert names(content) == ["a", "a (3)", "a (2)", "a (4)"]
    assert content.rows == ((0, 1, 2, 3),)


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_parquet_file_is_told(cut):
    file = io.BytesIO()
    pq.write_table(pa.table({"x": list(range(1000))}), file)
    content = preview(Read("x.parquet", b"PAR1" + file.getvalue()[4:-20][cut:]).ranged, 3)
    assert "damaged" in content.said


def test_an_array_of_json_in_one_line_gives_its_first_elements():
    body = json.dumps([{"id": i, "s": "ü" * 50} for i in range(10_000)], ensure_ascii=False)
    content = preview(Read("x.json", body.encode()).ranged, 4)
    assert [row[0] for row in content.rows] == [0, 1, 2, 3]


def test_gzipped_lines_are_opened():
    body = gzip.compress(b"".join(b'{"id": %d}\n' % i for i in range(100_000)))
    content = preview(Read("x.jsonl.gz", body).ranged, 2)
    assert content.rows == ((0,), (1,))


@pytest.mark.parametrize(
    ("name", "body", "column"),
    [
        ("x.txt", b"one\ntwo\n", "text"),
        ("x.csv", b"\xff\xfe\x00", "bytes"),
        ("x.json", b"[" * 100_000, "text"),
        ("x", b"{}", "text"),
        ("x.csv", b'a\n"\n' * 10, "a"),
        ("x.jsonl", b"not json\n", "text"),
    ],
)
def test_what_is_no_table_is_told_as_it_is(name, body, column):
    content = preview(Read(name, body).ranged, 5)
    assert names(content)[:1] in ([column], [])
    assert len(content.rows) <= 5


def test_what_is_empty_says_so():
    assert preview(Read("x.csv", b"").ranged, 5).said == "It is empty."


def test_zeros_are_bytes():
    content = preview(Read("x.csv", b"\x00" * 100).ranged, 5)
    assert isinstance(content.rows[0][0], Binary)


def test_a_file_is_looked_into_and_one_that_is_gone_is_told(tmp_path):
    path = tmp_path / "in.csv"
    assert run(File(path).look(None, Asked())).standing is Standing.ABSENT
    with path.open("wb") as file:
        file.write(b"id\n1\n2\n")
        file.truncate(5 << 30)  # sparse
    look = run(File(path).look(None, Asked(rows=2)))
    assert look.there
    assert look.figures[0].value == 5 << 30
    path.unlink()
    assert run(File(path).look(None, Asked())).standing is Standing.ABSENT


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "in.csv")
    look = run(File(tmp_path / "in.csv").look(None, Asked(within_s=2)))
    assert not look.there
