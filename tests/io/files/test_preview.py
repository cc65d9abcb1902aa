"""The first rows of what may be large, by reading little of it."""

import gzip
import io
import json

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
