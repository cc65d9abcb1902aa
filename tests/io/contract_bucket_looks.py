"""What a look into a bucket keeps, whichever cloud it is on."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.errors import AbsentError
from buildflow_nb.core.resource_look import Asked, Binary, Standing
from tests.io import driving
from tests.io.driving import run

__all__ = ("BucketLookContract",)


def parquet(rows=1_000):
    file = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(rows)), "item": ["Fig"] * rows}), file)
    return file.getvalue()


class BucketLookContract:
    """`bucket` is a primitive whose bucket is not there; `make` makes it, `put`, `remove` fill."""

    def glance(self, **words):
        return run(self.bucket.look(driving.Env(), Asked(**words)))

    def keys(self, look):
        return [row[0] for row in look.contents[0].rows]

    def test_one_that_is_not_there_is_told(self):
        look = self.glance()
        assert look.standing is Standing.ABSENT
        assert look.cure

    def test_an_empty_one_holds_nothing(self):
        self.make()
        look = self.glance()
        assert look.there
        assert str(look.held) == "0 objects"

    def test_names_are_listed_folder_by_folder(self):
        self.make()
        for key in ("a/1.csv", "a/b/2.csv", "c.csv", "<i>.csv"):
            self.put(key, b"x,y\n1,2\n")
        look = self.glance()
        assert sorted(self.keys(look)) == ["<i>.csv", "a/", "c.csv"]
        assert sorted(self.keys(self.glance(prefix="a/"))) == ["a/1.csv", "a/b/"]
        assert look.held.count == 4
        assert look.held.bytes == 32

    def test_pages_follow_each_other(self):
        self.make()
        for i in range(7):
            self.put(f"{i}.txt", b"x")
        found, page = [], ""
        for _ in range(4):
            look = self.glance(rows=2, page=page)
            found += self.keys(look)
            page = look.next_page
        assert found == [f"{i}.txt" for i in range(7)]
        assert page == ""

    @pytest.mark.parametrize(
        ("key", "body"),
        [
            ("x.csv", b"id,item\n1,Fig\n2,Pear\n3,Plum\n"),
            ("x.jsonl", b'{"id": 1, "item": "Fig"}\n{"id": 2, "item": "Pear"}\n{"id": 3}\n'),
            ("x.json", json.dumps([{"id": i, "item": "Fig"} for i in range(3)]).encode()),
            ("x.parquet", parquet()),
        ],
    )
    def test_the_first_rows_of_an_object_are_a_table(self, key, body):
        self.make()
        self.put(key, body)
        content = self.glance(rows=2, key=key).contents[1]
        assert [column.name for column in content.columns] == ["id", "item"]
        assert len(content.rows) == 2
        assert "first 2" in content.said

    def test_bytes_are_told_as_such(self):
        self.make()
        self.put("x.bin", bytes(range(256)))
        content = self.glance(key="x.bin").contents[1]
        assert content.rows == ((Binary(256, bytes(range(16))),),)

    def test_an_object_that_is_gone_is_told_and_the_list_stays(self):
        self.make()
        self.put("a.csv", b"x\n1\n")
        look = self.glance(key="b.csv")
        assert self.keys(look) == ["a.csv"]
        assert "no object 'b.csv'" in look.contents[1].said
        with pytest.raises(AbsentError, match=r"b\.csv"):
            run(self.bucket.download(driving.Env(), "b.csv", lambda _: None))

    def test_an_object_is_fetched_piece_by_piece(self):
        self.make()
        body = bytes(range(256)) * 20_000
        self.put("large", body)
        found = []
        run(self.bucket.download(driving.Env(), "large", found.append))
        assert b"".join(found) == body
        assert max(map(len, found)) <= 2 << 20

    def test_one_that_vanishes_is_told(self):
        self.make()
        assert self.glance().there
        self.unmake()
        assert self.glance().standing is Standing.ABSENT
