"""What primitives say of themselves when they are checked, and that a check leaves no trace."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest

from buildflow_nb.core.errors import DeniedError, TemporaryError
from buildflow_nb.core.findings import Columns, Finding, Health
from buildflow_nb.core.primitive import Checkable, Columned, Env
from buildflow_nb.io import checks
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from buildflow_nb.io.local import Empty, File, LocalFileChangeStream, Pulse
from buildflow_nb.io.local.testing.pulse_with_backlog import PulseWithBacklog
from tests.io.contract import checked, lying_there, run

DENIED = "bucket 'a' denies access; allow the action s3:ListBucket (AccessDenied)"


def said(primitive, role="source") -> Finding:
    (found,) = checked(primitive, role)
    return found


@pytest.mark.parametrize(
    "primitive",
    [
        Empty(),
        Pulse([1], 1),
        PulseWithBacklog([1], 1, 2),
        File("a.csv"),
        LocalFileChangeStream("."),
        DuckDBTable("a.duckdb", "t"),
        DuckDBQuery("a.duckdb", "FROM t"),
        SQSQueue("orders"),
        S3Bucket("a-bucket"),
        S3FileChangeStream(S3Bucket("a-bucket")),
        GCSBucket("a-bucket"),
        GCSFileChangeStream(GCSBucket("a-bucket")),
        GCPPubSubTopic(None, "orders"),
        GCPPubSubSubscription(None, "orders"),
    ],
    ids=lambda p: type(p).__name__,
)
def test_every_primitive_can_be_checked(primitive):
    assert isinstance(primitive, Checkable)


class TestLooked:
    """What the checks share."""

    def of(self, look, **words) -> Finding:
        (found,) = run(looked(SQSQueue("orders"), look, **words))
        return found

    @pytest.mark.parametrize(
        ("text", "line", "cure"),
        [
            ("queue 'a' is gone; make it", "queue 'a' is gone", "make it"),
            (
                "queue 'a' does not exist in stack 'local' (run %buildflow apply)",
                "queue 'a' does not exist in stack 'local'",
                "%buildflow apply",
            ),
            ("queue 'a' cannot be reached: no route", None, checks.UNREACHED),
            ("queue 'a' is odd", None, ""),
        ],
    )
    def test_what_a_look_raises_is_told_with_its_cure_apart(self, text, line, cure):
        async def look():
            raise TemporaryError(text)

        want = Finding("SQSQueue orders", Health.ERROR, line or text, cure, "sink")
        assert self.of(look, role="sink") == want

    def test_a_look_that_hangs_is_given_up_and_left_behind(self, monkeypatch):
        monkeypatch.setattr(checks, "CHECK_S", 0.05)
        release, seen = threading.Event(), []

        def hang() -> str:
            seen.append(threading.current_thread())
            release.wait(20)
            return "late"

        began = time.monotonic()
        found = self.of(lambda: on_thread(hang))
        assert time.monotonic() - began < 5
        release.set()
        assert (found.health, found.said) == (Health.ERROR, "no answer within 0.05 s")
        assert seen[0].daemon

    def test_the_time_to_load_an_sdk_is_not_held_against_it(self, monkeypatch):
        monkeypatch.setattr(checks, "CHECK_S", 0.05)

        async def look():
            return "there"

        found = self.of(look, load=lambda: asyncio.sleep(0.2))
        assert found.health is Health.OK

    def test_a_missing_permission_to_look_is_no_error(self):
        async def look():
            raise DeniedError(DENIED)

        found = self.of(look, unseen="s3:ListBucket")
        assert (found.health, found.cure) == (Health.WARNING, "allow s3:ListBucket, or just run it")
        found = self.of(look)
        assert found.health is Health.ERROR
        assert found.cure == "allow the action s3:ListBucket (AccessDenied)"


class TestFile:
    def test_a_missing_one_cannot_be_read_and_can_be_made(self, tmp_path):
        file = File(tmp_path / "new" / "a.csv")
        found = said(file)
        assert (found.health, found.cure) == (Health.ERROR, "create it, or mend the path")
        found = said(file, "sink")
        assert (found.health, found.said) == (
            Health.OK,
            "is made by the first push, with its folder",
        )
        assert said(File(tmp_path / "a.csv"), "sink").said == "is made by the first push"
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_one(self, tmp_path):
        (tmp_path / "a.jsonl").touch()
        assert said(File(tmp_path / "a.jsonl")).said == "can be read, and is empty"

    def test_a_first_row_that_makes_no_sense(self, tmp_path):
        (tmp_path / "a.jsonl").write_text("{oops\n")
        found = said(File(tmp_path / "a.jsonl"))
        assert found.health is Health.ERROR
        assert "the first row of" in found.said
        assert "not JSON" in found.said
        assert found.cure == "mend it, or its file_format"

    def test_what_is_not_parquet(self, tmp_path):
        (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
        assert "is not Parquet" in said(File(tmp_path / "a.parquet")).said

    def test_a_folder_in_its_place(self, tmp_path):
        (tmp_path / "a.csv").mkdir()
        assert "is a folder" in said(File(tmp_path / "a.csv")).said
        assert said(File(tmp_path / "a.csv"), "sink").cure == "name a file in it"

    def test_a_file_in_the_place_of_its_folder(self, tmp_path):
        (tmp_path / "out").touch()
        found = said(File(tmp_path / "out" / "a.csv"), "sink")
        assert found.health is Health.ERROR
        assert "is a file where a folder should be" in found.said

    def test_a_folder_that_may_not_be_written(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        found = said(File(tmp_path / "a.csv"), "sink")
        assert (found.health, f"{tmp_path} cannot be written") == (Health.ERROR, found.said)

    def test_a_pipe_is_not_read(self, tmp_path):
        os.mkfifo(tmp_path / "a.csv")
        assert "no regular file" in said(File(tmp_path / "a.csv")).said

    def test_its_columns(self, tmp_path):
        (tmp_path / "a.csv").write_text("id,price\n1,2\n")
        (tmp_path / "a.jsonl").write_text('{"id": 1}\n')
        assert run(File(tmp_path / "a.csv").columns(Env())) == Columns(("id", "price"), exact=True)
        for name in ("a.jsonl", "none.csv"):
            assert run(File(tmp_path / name).columns(Env())) is None


class TestFolder:
    def test_one_that_is_there_and_one_that_is_not(self, tmp_path):
        assert said(LocalFileChangeStream(tmp_path)).health is Health.OK
        found = said(LocalFileChangeStream(tmp_path / "inbox"))
        assert (found.health, found.cure) == (Health.ERROR, "create it, or mend the path")


HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("open", flush=True)
sys.stdin.read()
"""


class TestDuckDB:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "shop.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE priced (id INTEGER, price DOUBLE)")
            connection.execute("INSERT INTO priced VALUES (1, 2)")
        return path

    def test_a_file_that_is_not_there_is_not_made(self, tmp_path):
        table = DuckDBTable(tmp_path / "new" / "a.duckdb", "t")
        assert said(table).cure == "what writes it?"
        assert said(table, "sink").said == "is made by the first push, with its folder"
        assert said(DuckDBQuery(tmp_path / "a.duckdb", "FROM t")).health is Health.ERROR
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="this system has no such folder")
    @pytest.mark.parametrize("place", ["/proc/nope/x.duckdb", "/proc/x.duckdb", "/sys/nope/x.csv"])
    def test_a_file_that_nobody_could_make(self, place, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: True)  # as for root
        sink = File(place) if place.endswith(".csv") else DuckDBTable(place, "t")
        found = said(sink, "sink")
        assert (found.health, found.cure) == (Health.ERROR, "name another place")
        assert f"{place} cannot be made" in found.said

    def test_a_table_that_is_not_there(self, file):
        before = lying_there(file.parent)
        table = DuckDBTable(file, "nothing")
        assert "has no table 'nothing' (yet)" in said(table).said
        assert said(table, "sink").said == "is made by the first push"
        assert run(table.columns(Env())) is None
        assert lying_there(file.parent) == before

    def test_a_table_that_is_there(self, file):
        table = DuckDBTable(file, "priced")
        assert said(table).said == "can be read, with 2 columns"
        assert said(table, "sink").said == "is there, and can be written"
        assert isinstance(table, Columned)
        assert run(table.columns(Env())) == Columns(("id", "price"))

    def test_a_query(self, file):
        assert said(DuckDBQuery(file, "SELECT id FROM priced")).said == "can be read, with 1 column"
        wrong = said(DuckDBQuery(file, "SELECT i FROM priced"))
        assert wrong.health is Health.ERROR
        assert "Binder Error" in wrong.said

    @pytest.mark.parametrize("here", [False, True], ids=["closed", "open here"])
    @pytest.mark.parametrize(
        "query",
        [
            "INSERT INTO priced VALUES (2, 3)",
            "COPY priced TO '{}'",
            "FROM priced; DROP TABLE priced",
        ],
    )
    def test_a_query_that_changes_something_is_not_carried_out(self, file, query, here):
        query = query.format(file.parent / "copy.csv")
        with duckdb.connect(str(file)) if here else nullcontext():
            found = said(DuckDBQuery(file, query))
        assert found.health is Health.ERROR
        assert "is not one SELECT" in found.said
        with duckdb.connect(str(file)) as connection:
            assert connection.sql("FROM priced").fetchall() == [(1, 2.0)]
        assert list(file.parent.iterdir()) == [file]

    def test_one_that_this_process_writes_goes_on_being_written(self, file):
        with duckdb.connect(str(file)) as connection:
            connection.execute("INSERT INTO priced VALUES (2, 3)")
            assert said(DuckDBTable(file, "priced")).health is Health.OK
            connection.execute("INSERT INTO priced VALUES (3, 4)")
        with duckdb.connect(str(file)) as connection:
            assert connection.sql("FROM priced").fetchall()[-1] == (3, 4.0)

    @pytest.mark.parametrize("way", ["write", "read"])
    @pytest.mark.parametrize("role", ["source", "sink"])
    def test_one_that_another_process_has_open(self, file, way, role):
        if way == "read" and not Path("/proc/locks").exists():
            pytest.skip("this system does not tell who reads")
        words = [sys.executable, "-c", HOLDER, str(file), way]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe) as other:
            assert other.stdout.readline() == b"open\n"
            found = said(DuckDBTable(file, "priced"), role)
            other.stdin.close()
        assert found.health is Health.ERROR
        assert f"process {other.pid}" in found.said
        assert found.cure == "close it there"
        assert said(DuckDBTable(file, "priced"), role).health is Health.OK

    def test_what_is_no_database(self, tmp_path):
        (tmp_path / "a.duckdb").write_text("x" * 10_000)
        for role in ("source", "sink"):
            found = said(DuckDBTable(tmp_path / "a.duckdb", "t"), role)
            assert "not a valid" in found.said
            assert found.cure == "name another file, or move this one away"

    def test_motherduck_is_not_asked_and_its_token_not_told(self):
        found = said(DuckDBTable("md:shop?motherduck_token=abc", "t"))
        assert (found.health, found.said) == (Health.OK, "md:shop is looked at when it runs")
        assert "abc" not in json.dumps([found.subject, found.said, found.cure])


class TestWithoutAProject:
    @pytest.mark.parametrize(
        "primitive", [GCPPubSubTopic(None, "orders"), GCPPubSubSubscription(None, "orders")]
    )
    def test_no_project_is_a_finding_with_its_cure(self, primitive):
        found = said(primitive)
        assert found.health is Health.ERROR
        assert "no Google Cloud project is known" in found.said
        assert found.cure.startswith("give project_id")
