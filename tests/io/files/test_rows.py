"""Lines, rows and pages of files that cannot be read fail alone, or end the reading for good."""

import datetime as dt
import gzip
import json
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.errors import ConversionError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Malformed
from buildflow_nb.io.files.text_file import TextFile
from buildflow_nb.io.local import File
from tests.io.contract import drain, pulled, pushed, run
from tests.io.records import decoded

LINE = "x\n"


def pulled_to_the_fault(primitive):
    """What comes, with origins, and the error that ends it; the same again for ever."""

    async def go():
        found, errors = [], []
        async with primitive.source(Env()) as source:
            while len(errors) < 2:
                try:
                    batch = await source.pull()
                except PermanentError as error:
                    errors.append(error)
                else:
                    assert batch is not None, "the fault was taken for the end"
                    assert not errors
                    found += batch.items
        assert errors[0] is errors[1]
        return found, str(errors[0])

    return run(go())


def origins_of_faults(primitive):
    async def go():
        found = []
        async with primitive.source(Env()) as source:
            while (batch := await source.pull()) is not None:
                for i, item in enumerate(batch.items):
                    if isinstance(item, Malformed):
                        found.append((batch.origin(i), item.reason))
        return found

    return run(go())


class TestJson:
    def test_a_line_that_is_too_deep_fails_alone(self, tmp_path):
        deep = '{"id":1,"c":' + "[" * 100_000 + "]" * 100_000 + "}"
        lines = ['{"id":1}'] * 500 + [deep] + ['{"id":1}'] * 500
        (tmp_path / "in.jsonl").write_text("\n".join(lines))
        file = File(tmp_path / "in.jsonl")
        decoder = compile_decoder(dict, file.source_wire, "test")
        good, bad = 0, 0
        for item in pulled(file):
            try:
                good += decoder.one(item) == {"id": 1}
            except ConversionError:
                bad += 1
        assert (good, bad) == (1_000, 1)

    @pytest.mark.parametrize("text", ["12345678901234.5678", "1.10", "1e-30", "0.1"])
    def test_decimals_are_exact(self, tmp_path, text):
        @dataclass
        class Amount:
            amt: Decimal

        (tmp_path / "in.jsonl").write_text(f'{{"amt":{text}}}\n')
        (found,) = decoded(Amount, File(tmp_path / "in.jsonl"), pulled(File(tmp_path / "in.jsonl")))
        assert str(found.amt) == str(Decimal(text))

    def test_what_is_packed_is_told(self, tmp_path):
        (tmp_path / "in.jsonl").write_bytes(gzip.compress(b'{"a":1}\n'))
        with pytest.raises(PermanentError, match=r"is gzip, which cannot be read; unpack it first"):
            pulled(File(tmp_path / "in.jsonl"))


class TestCsv:
    def read(self, tmp_path, data):
        (tmp_path / "in.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
        return pulled(File(tmp_path / "in.csv"))

    def test_a_quote_that_is_never_closed_fails_alone(self, tmp_path):
        rows = [f"{i},x\n" for i in range(201)]
        rows[100] = '100,"x\n'
        found = self.read(tmp_path, "id,n\n" + "".join(rows))
        assert len(found) == 201
        assert [i for i, item in enumerate(found) if isinstance(item, Malformed)] == [100]
        assert found[100].raw == '100,"x\n'
        assert found[200] == {"id": "200", "n": "x"}
        reason = "not CSV: a quote opens in this line and is never closed; close it"
        assert origins_of_faults(File(tmp_path / "in.csv")) == [("in.csv line 102", reason)]

    def test_a_quote_that_closes_at_the_next_one_swallows_no_line(self, tmp_path):
        found = self.read(tmp_path, 'id,n\n1,"abc\n2,"def"\n3,"g"\n')
        assert isinstance(found[0], Malformed)
        assert found[0].raw == '1,"abc\n'
        assert "is not closed before the next one opens" in found[0].reason
        assert found[1:] == [{"id": "2", "n": "def"}, {"id": "3", "n": "g"}]

    @pytest.mark.parametrize("count", [1, 15, 16, 17, 1_015, 1_016, 1_017, 2_500])
    def test_a_quote_is_open_wherever_a_batch_ends(self, tmp_path, count):
        head = "id,n\n" + "".join(f"{i},x\n" for i in range(count))
        found = self.read(tmp_path, head + '-1,"x\n' + "-2,y\n" * 20)
        assert [type(item) for item in found] == [dict] * count + [Malformed] + [dict] * 20
        found = self.read(tmp_path, head + '-1,"x\n\n ""y""\n"\n' + "-2,y\n" * 2_000)
        assert (
            found[count:] == [{"id": "-1", "n": 'x\n\n "y"\n'}] + [{"id": "-2", "n": "y"}] * 2_000
        )

    def test_odd_quotes_within_a_line_are_taken_as_they_were(self, tmp_path):
        found = self.read(tmp_path, 'id,n\n1,5" pipe\n2,"a"b\n3,"x"\n')
        assert [row["n"] for row in found] == ['5" pipe', "ab", "x"]

    def test_a_field_of_many_lines_is_one_row(self, tmp_path):
        text = "".join(f'line {i}, with a ""quote""\n' for i in range(5_000))
        found = self.read(tmp_path, f'id,n\n1,"{text}"\n2,x\n')
        assert found == [{"id": "1", "n": text.replace('""', '"')}, {"id": "2", "n": "x"}]

    def test_a_line_of_a_field_that_is_no_text_fails_with_its_row(self, tmp_path):
        found = self.read(tmp_path, b'id,n\n1,"abc\n\xff\nd"\n2,y\n')
        assert found[0].raw == b'1,"abc\n\xff\nd"\n'
        assert found[0].reason.startswith("not UTF-8")
        assert found[1:] == [{"id": "2", "n": "y"}]
        faults = origins_of_faults(File(tmp_path / "in.csv"))
        assert faults == [("in.csv line 2", "not UTF-8: invalid start byte")]

    def test_a_carriage_return_within_a_line_fails_alone_with_its_text(self, tmp_path):
        found = self.read(tmp_path, b"id,n\n1,a\rb\n2,c\n")
        assert found[0].raw == "1,a\rb\n"
        assert "a carriage return stands outside of quotes" in found[0].reason
        assert found[1] == {"id": "2", "n": "c"}

    def test_a_header_that_is_never_closed_is_told(self, tmp_path):
        with pytest.raises(PermanentError, match=r"has a header that cannot be read: not CSV: a"):
            self.read(tmp_path, 'id,"n\n1,2\n')


class TestDisk:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("in.csv", "id,n\n" + "".join(f'{i},"x\ny"\n' for i in range(3_000))),
            ("in.csv", "id,n\n" + "".join(f'{i},"{LINE * (i % 7 * 400)}"\n' for i in range(60))),
            ("in.jsonl", "".join(f'{{"id":{i}}}\n' for i in range(3_000))),
        ],
    )
    def test_a_disk_that_fails_for_a_while_loses_nothing(self, tmp_path, monkeypatch, name, text):
        (tmp_path / name).write_text(text)
        whole = pulled(File(tmp_path / name))
        assert len(whole) in (60, 3_000)
        take, calls, ends = TextFile.take, [], []

        def failing(file, count):
            calls.append(count)
            lines = take(file, count)
            ends.append(not lines)
            if len(calls) % 7 == 5 or (ends[-1] and not any(ends[:-1])):
                file.give_back(lines)
                msg = "the disk is away"
                raise TemporaryError(msg)
            return lines

        monkeypatch.setattr(TextFile, "take", failing)

        async def go():
            found, faults = [], 0
            async with File(tmp_path / name).source(Env()) as source:
                while True:
                    try:
                        batch = await source.pull()
                    except TemporaryError:
                        faults += 1
                        continue
                    if batch is None:
                        return found, faults
                    found += batch.items

        found, faults = run(go())
        assert faults > 0
        assert found == whole

    def test_a_file_that_becomes_shorter_while_it_is_read_is_told(self, tmp_path):
        path = tmp_path / "in.jsonl"
        path.write_text('{"id":1}\n' * 100_000)

        async def go():
            async with File(path).source(Env()) as source:
                await source.pull()
                await source.pull()
                path.write_text("")
                with pytest.raises(PermanentError, match="has become shorter while it was read"):
                    await drain(source)

        run(go())

    def test_a_file_that_is_late_and_empty_is_no_end_at_once(self, tmp_path):
        path = tmp_path / "in.jsonl"

        async def go():
            async with File(path).source(Env()) as source:
                with pytest.raises(TemporaryError, match="does not exist"):
                    await source.pull()
                path.touch()
                first = await source.pull()
                return list(first.items), await source.pull(), await source.pull()

        assert run(go()) == ([], None, None)


class TestParquet:
    def test_a_day_that_python_has_not_fails_alone(self, tmp_path):
        days = pa.array([1, 2, 9_999_999, 3, None], pa.int32()).cast(pa.date32())
        pq.write_table(pa.table({"d": days, "n": [1, 2, 3, 4, 5]}), tmp_path / "in.parquet")
        found = pulled(File(tmp_path / "in.parquet"))
        assert found[2].raw["n"] == 3
        assert found[2].reason.endswith("is out of range for Python, which has the years 1 to 9999")
        assert [row["n"] for row in found if type(row) is dict] == [1, 2, 4, 5]
        assert origins_of_faults(File(tmp_path / "in.parquet"))[0][0] == "in.parquet row 3"

    @pytest.mark.parametrize(
        ("kind", "bad", "good", "expected"),
        [
            (pa.timestamp("ns"), 1_001, 1_000, dt.datetime(1970, 1, 1, 0, 0, 0, 1)),
            (pa.time64("ns"), 1_001, 1_000, dt.time(0, 0, 0, 1)),
            (pa.duration("ns"), 1_001, 1_000, dt.timedelta(microseconds=1)),
            (pa.time64("us"), 86_400_000_000, 1, dt.time(0, 0, 0, 1)),
            (pa.time64("us"), -1, 1, dt.time(0, 0, 0, 1)),
            (pa.timestamp("us"), 2**62, 1, dt.datetime(1970, 1, 1, 0, 0, 0, 1)),
            (pa.timestamp("ms"), -(2**50), 1, dt.datetime(1970, 1, 1, 0, 0, 0, 1_000)),
            (pa.duration("ms"), 2**60, 1, dt.timedelta(milliseconds=1)),
        ],
    )
    def test_a_time_comes_whole_or_fails_alone(self, tmp_path, kind, bad, good, expected):
        values = pa.array([good, bad, None], pa.int64()).view(kind)
        pq.write_table(pa.table({"v": values}), tmp_path / "in.parquet")
        first, fault, none = pulled(File(tmp_path / "in.parquet"))
        assert (first, none) == ({"v": expected}, {"v": None})
        assert type(first["v"]) is type(expected)
        assert isinstance(fault, Malformed)
        assert fault.reason.startswith("column 'v': ")

    def test_text_that_is_none_fails_alone(self, tmp_path):
        raw = pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary())
        text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
        pq.write_table(pa.table({"s": text}), tmp_path / "in.parquet")
        first, bad, last = pulled(File(tmp_path / "in.parquet"))
        assert (first, last) == ({"s": "ok"}, {"s": "fine"})
        assert bad == Malformed({"s": b"\xff\xfe"}, bad.reason)
        assert "is not UTF-8" in bad.reason

    def test_a_zone_that_nobody_knows_fails_by_row(self, tmp_path):
        at = pa.array([1, None], pa.int64()).view(pa.timestamp("us", "Mars/Olympus"))
        pq.write_table(pa.table({"at": at}), tmp_path / "in.parquet")
        bad, good = pulled(File(tmp_path / "in.parquet"))
        assert "Mars/Olympus" in bad.reason
        assert good == {"at": None}

    def test_a_damaged_page_is_no_end(self, tmp_path):
        path = tmp_path / "in.parquet"
        numbers = pa.table({"n": list(range(200_000)), "s": [f"text {i}" for i in range(200_000)]})
        pq.write_table(numbers, path, row_group_size=20_000)
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 300] = b"\x5a" * 300
        path.write_bytes(data)
        found, reason = pulled_to_the_fault(File(path))
        assert 0 < len(found) < 200_000
        assert found == numbers.slice(0, len(found)).to_pylist()
        assert reason.startswith(f"file {path} cannot be read on behind row {len(found)}: ")

    def test_a_page_of_ours_whose_bits_turned_is_no_data(self, tmp_path):
        path = tmp_path / "o.parquet"
        pushed(File(path), [{"n": i * 7_919, "s": "x" * 50 + str(i)} for i in range(5_000)])
        (part,) = path.iterdir()
        whole = part.read_bytes()
        for at in range(100, len(whole) // 2, len(whole) // 13):
            part.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            _, reason = pulled_to_the_fault(File(path))
            assert part.name in reason

    @pytest.mark.parametrize("how", ["cut", "page", "empty"])
    def test_a_damaged_part_is_told_by_its_name(self, tmp_path, how):
        path = tmp_path / "o.parquet"
        pushed(File(path), *[[{"n": i}] * 10 for i in range(3)])
        middle = sorted(path.iterdir())[1]
        data = middle.read_bytes()
        spoilt = {"cut": data[:-10], "page": data[:8] + b"\xff" * 40 + data[48:], "empty": b""}[how]
        middle.write_bytes(spoilt)
        found, reason = pulled_to_the_fault(File(path))
        assert found in ([], [{"n": 0}] * 10)
        assert middle.name in reason

    def test_two_columns_of_one_name_are_refused(self, tmp_path):
        table = pa.table([[1], [2]], names=["id", "id"])
        pq.write_table(table, tmp_path / "in.parquet")
        with pytest.raises(PermanentError, match=r"in\.parquet has two columns named 'id'; rename"):
            pulled(File(tmp_path / "in.parquet"))

    def test_bad_json_in_a_json_column_fails_alone(self, tmp_path):
        pushed(File(tmp_path / "o.parquet"), [{"a": {"x": 1}}, {"a": {"x": 2}}])
        (part,) = (tmp_path / "o.parquet").iterdir()
        table = pq.read_table(part)
        texts = pa.array(['{"x": ', json.dumps({"x": 2})])
        pq.write_table(table.set_column(0, table.schema.field(0), texts), part)
        bad, good = pulled(File(tmp_path / "o.parquet"))
        assert isinstance(bad, Malformed)
        assert good == {"a": {"x": 2}}
