"""Every source has decided whether it is shared, and what is exclusive is known by any name."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from buildflow_nb.core.sharing import exclusive_of, is_shared
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.local import File
from tests.io.contract_sharing import ALONE, EXCLUSIVE, SHARED, alike, kinds


def test_every_source_is_shared_or_says_why_not():
    sources = {kind.__name__: kind for kind in kinds() if hasattr(kind, "source")}
    assert {"SQSQueue", "File"} < set(sources)
    assert set(sources) == SHARED | set(ALONE)
    assert SHARED.isdisjoint(ALONE)
    assert {name for name, kind in sources.items() if is_shared(kind)} == SHARED


def test_everything_exclusive_says_why():
    assert {kind.__name__ for kind in kinds() if hasattr(kind, "exclusive")} == set(EXCLUSIVE)


def test_a_source_that_says_nothing_is_read_by_one():
    class New:
        primitive_id = "new"

    assert not is_shared(New())
    assert exclusive_of(New()) == ""


def test_a_file_is_the_same_by_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    shop = str(tmp_path / "there" / "shop.duckdb")
    table = DuckDBTable(shop, "orders")
    for name in ("there/shop.duckdb", "./there/../there/shop.duckdb", "link/shop.duckdb"):
        assert alike(table, DuckDBTable(name, "other"))
        assert alike(table, DuckDBQuery(name, "SELECT 1"))
        assert alike(File(tmp_path / "there" / "a.csv"), File(name.replace("shop.duckdb", "a.csv")))
    assert not alike(table, DuckDBTable("there/other.duckdb", "orders"))
    assert not alike(File("there/a.csv"), File("there/b.csv"))


def test_what_a_server_keeps_is_not_exclusive():
    assert exclusive_of(DuckDBTable("md:shop", "orders")) == ""


OPENS = """
    import asyncio, sys
    from buildflow_nb.core.errors import TemporaryError
    from buildflow_nb.core.primitive import Env
    from buildflow_nb.io.duckdb import DuckDBTable

    async def go():
        async with DuckDBTable(sys.argv[1], "t").sink(Env(), dict) as sink:
            try:
                await sink.push([{"x": 1}])
            except TemporaryError as error:
                print("locked" if "locked" in str(error) else error)

    asyncio.run(go())
"""


def test_another_process_cannot_open_what_is_exclusive(tmp_path):
    import duckdb

    path = str(tmp_path / "shop.duckdb")

    def elsewhere() -> str:
        words = [sys.executable, "-c", textwrap.dedent(OPENS), path]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    with duckdb.connect(path):
        assert elsewhere() == "locked"
    assert elsewhere() == ""
