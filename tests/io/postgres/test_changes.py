"""Changes of Postgres tables: every kind, in order, without a gap."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace

import pytest

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Malformed
from buildflow_nb.io.postgres import PostgresChanges
from buildflow_nb.io.postgres.change_source import ChangeSource
from buildflow_nb.types.postgres import PostgresChange, PostgresChangeType
from tests.io.contract import run
from tests.io.contract_endless import EndlessSourceContract
from tests.io.flows import until
from tests.io.postgres.server import Server

INSERT, UPDATE, DELETE = (PostgresChangeType[n] for n in ("INSERT", "UPDATE", "DELETE"))
TRUNCATE = PostgresChangeType.TRUNCATE


def inserted(number):
    return PostgresChange(INSERT, "public.t", {"id": number, "name": f"row {number}"})


@pytest.fixture
def changes(url, server, database):
    """The changes of the table `t`, which is there; its slot is dropped at the end."""
    server.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)", database=database)
    made = PostgresChanges("t", url)
    yield made
    made.drop(Env())


async def begin(primitive, env=None):
    """Make the slot, as the first pull of a processor does."""
    async with primitive.source(env or Env()) as source:
        assert (await source.pull()).items == []


async def some(source, count):
    items, receipts = [], []
    while len(items) < count:
        batch = await source.pull()
        items += batch.items
        receipts += batch.receipts
    return items, receipts


class TestSource(EndlessSourceContract):
    expected = [inserted(i) for i in range(50)]  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _over_a_table(self, changes, sql):
        self.changes, self.sql, self.begun = changes, sql, False

    def make(self, folder):
        del folder
        return self.changes

    def prepare(self, folder):
        del folder
        if not self.begun:
            run(begin(self.changes))
            self.begun = True
        statements = [f"INSERT INTO t VALUES ({i}, 'row {i}')" for i in range(50)]
        truncated = "ALTER PUBLICATION {0} SET (publish = '{1}')"
        name = self.changes.slot(Env()).publication
        self.sql(
            truncated.format(name, "insert"),
            "TRUNCATE t",
            *statements[:10],
            "BEGIN; " + "; ".join(statements[10:]) + "; COMMIT",
        )
        return self.changes


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize(
    "fault", [TemporaryError("later"), ConnectionError("gone"), TimeoutError("slow")], ids=repr
)
def test_after_a_fault_that_passes_it_goes_on_where_it_was(changes, sql, monkeypatch, fault, at):
    monkeypatch.setattr("buildflow_nb.io.postgres.slot.PAGE", 20)
    run(begin(changes))
    sql(
        "INSERT INTO t SELECT generate_series(0, 29)",
        "INSERT INTO t SELECT generate_series(30, 49)",
    )
    fetch, calls = ChangeSource._fetch, []

    async def failing(source):
        calls.append(source)
        if len(calls) == at + 1:
            raise fault
        return await fetch(source)

    monkeypatch.setattr(ChangeSource, "_fetch", failing)

    async def go():
        found, errors = [], []
        async with changes.source(Env()) as source:
            while len(found) < 50:
                try:
                    found += (await source.pull()).items
                except (TemporaryError, ConnectionError) as error:
                    errors.append(error)
        return [change.row["id"] for change in found], len(errors)

    assert run(go()) == (list(range(50)), 1)


def test_after_a_fault_that_stays_it_says_so_each_time(changes, sql, monkeypatch):
    run(begin(changes))
    sql("INSERT INTO t VALUES (1)")
    monkeypatch.setattr(ChangeSource, "_fetch", lambda source: 1 / 0)

    async def go():
        async with changes.source(Env()) as source:
            for _ in range(2):
                with pytest.raises(PermanentError, match="ZeroDivisionError: division by zero"):
                    await source.pull()

    run(go())


def test_what_failed_comes_again_after_a_pause_and_holds_the_slot(changes, sql, monkeypatch):
    monkeypatch.setattr("buildflow_nb.io.postgres.change_source.RETRY_S", (0.1, 0.1))
    run(begin(changes))
    sql(*(f"INSERT INTO t VALUES ({i})" for i in range(3)))

    async def go():
        async with changes.source(Env()) as source:
            items, receipts = await some(source, 3)
            await source.settle(receipts[1:], ok=True)
            await source.settle(receipts[:1], ok=False)
            assert await source.backlog() == 1
            again, receipts = await some(source, 1)
            await source.settle(receipts, ok=True)
            return items[:1], again

    first, again = run(go())
    assert first == again
    run(begin(changes))


def test_every_kind_of_change_in_its_order(changes, sql):
    run(begin(changes))
    sql(
        "INSERT INTO t VALUES (1, 'one'), (2, NULL)",
        "UPDATE t SET name = 'eins' WHERE id = 1",
        "UPDATE t SET id = 3 WHERE id = 2",
        "DELETE FROM t WHERE id = 1",
        "TRUNCATE t",
    )

    async def go():
        async with changes.source(Env()) as source:
            return (await some(source, 6))[0]

    found = run(go())
    assert found == [
        PostgresChange(INSERT, "public.t", {"id": 1, "name": "one"}),
        PostgresChange(INSERT, "public.t", {"id": 2, "name": None}),
        PostgresChange(UPDATE, "public.t", {"id": 1, "name": "eins"}),
        PostgresChange(UPDATE, "public.t", {"id": 3, "name": None}, {"id": 2}),
        PostgresChange(DELETE, "public.t", None, {"id": 1}),
        PostgresChange(TRUNCATE, "public.t"),
    ]
    assert found[0].transaction == found[1].transaction != found[2].transaction
    assert found[0].position < found[2].position
    assert abs(found[0].committed_at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_with_full_identity_the_old_row_is_told(changes, sql):
    sql("ALTER TABLE t REPLICA IDENTITY FULL", "INSERT INTO t VALUES (1, 'one')")
    run(begin(changes))
    sql("UPDATE t SET name = 'eins'", "DELETE FROM t")

    async def go():
        async with changes.source(Env()) as source:
            return (await some(source, 2))[0]

    update, delete = run(go())
    assert update.old == {"id": 1, "name": "one"}
    assert delete.old == {"id": 1, "name": "eins"}


@pytest.mark.parametrize("full", [False, True])
def test_large_values_that_did_not_change(changes, sql, full):
    sql("ALTER TABLE t ADD big text", "ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
    if full:
        sql("ALTER TABLE t REPLICA IDENTITY FULL")
    run(begin(changes))
    sql("INSERT INTO t VALUES (1, 'one', repeat('x', 100000))", "UPDATE t SET name = 'eins'")

    async def go():
        async with changes.source(Env()) as source:
            return (await some(source, 2))[0]

    insert, update = run(go())
    assert len(insert.row["big"]) == 100_000
    if full:
        assert update.row == {"id": 1, "name": "eins", "big": "x" * 100_000}
        assert update.unchanged == ()
    else:
        assert update.row == {"id": 1, "name": "eins"}
        assert update.unchanged == ("big",)


VALUES = {
    "boolean": ("true", True),
    "smallint": ("-32768", -(2**15)),
    "bigint": ("-9223372036854775808", -(2**63)),
    "real": ("0.1", 0.1),
    "double precision": ("'1e-300'", 1e-300),
    "numeric": ("1.10", decimal.Decimal("1.10")),
    "text": ("E'ü 数 🦆 \\\\ \\n'", "ü 数 🦆 \\ \n"),
    "varchar(3)": ("'abc'", "abc"),
    "bytea": (r"'\x00ff'", b"\x00\xff"),
    "date": ("'2024-02-29'", dt.date(2024, 2, 29)),
    "time": ("'01:02:03.000004'", dt.time(1, 2, 3, 4)),
    "timestamp": ("'2024-02-29 01:02:03.4'", dt.datetime(2024, 2, 29, 1, 2, 3, 400000)),
    "timestamptz": (
        "'2024-02-29 12:00+05:30'",
        dt.datetime(2024, 2, 29, 6, 30, tzinfo=dt.UTC),
    ),
    "interval": ("'-3 days 00:00:01.5'", dt.timedelta(days=-3, seconds=1.5)),
    "uuid": (
        "'12345678-1234-5678-1234-567812345678'",
        uuid.UUID("12345678-1234-5678-1234-567812345678"),
    ),
    "jsonb": ("""'{"a": [1, null, "ü"]}'""", {"a": [1, None, "ü"]}),
    "bigint[]": ("'{1,NULL,-3}'", [1, None, -3]),
    "text[]": (
        """ARRAY['a,b', 'quo"te', 'back\\slash', '', 'NULL', NULL, '{}']""",
        ["a,b", 'quo"te', "back\\slash", "", "NULL", None, "{}"],
    ),
    "integer[][]": ("'{{1,2},{3,4}}'", [[1, 2], [3, 4]]),
    "date[]": ("'{2024-01-01}'", [dt.date(2024, 1, 1)]),
    "inet": ("'10.0.0.1'", "10.0.0.1"),
}


def test_values_are_those_of_their_types(url, sql):
    columns = ", ".join(f"c{i} {kind}" for i, kind in enumerate(VALUES))
    sql(f"CREATE TABLE v ({columns})")
    primitive = PostgresChanges("v", url)
    run(begin(primitive))
    sql(f"INSERT INTO v VALUES ({', '.join(text for text, _ in VALUES.values())})")

    async def go():
        async with primitive.source(Env()) as source:
            return (await some(source, 1))[0][0]

    try:
        row = run(go()).row
    finally:
        primitive.drop(Env())
    for i, (kind, (_, value)) in enumerate(VALUES.items()):
        assert row[f"c{i}"] == value, kind
        assert type(row[f"c{i}"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "0044-03-15 BC"),
        ("timestamp", "12345-01-01"),
        ("interval", "1 mon"),
        ("time", "24:00"),
        ("date[]", "{infinity}"),
    ],
)
def test_a_value_that_python_does_not_have_fails_its_change_alone(changes, sql, kind, value):
    sql(f"ALTER TABLE t ADD v {kind}")
    run(begin(changes))
    for i in range(3):
        given = f"'{value}'" if i == 1 else "NULL"
        sql(f"INSERT INTO t VALUES ({i}, 'x', {given})")

    async def go():
        async with changes.source(Env()) as source:
            return (await some(source, 3))[0]

    good, bad, other = run(go())
    assert isinstance(bad, Malformed)
    assert "table public.t, column 'v'" in bad.reason
    assert bad.raw.row["id"] == 1
    assert (good.row["id"], other.row["id"]) == (0, 2)


def test_a_table_that_is_altered_in_the_middle(changes, sql):
    run(begin(changes))
    sql(
        "INSERT INTO t VALUES (1, 'a')",
        "ALTER TABLE t ADD more int DEFAULT 5",
        "INSERT INTO t VALUES (2, 'b', 6)",
        "ALTER TABLE t DROP name",
        "ALTER TABLE t RENAME more TO less",
        "INSERT INTO t VALUES (3, 7)",
    )

    async def go():
        async with changes.source(Env()) as source:
            return [change.row for change in (await some(source, 3))[0]]

    assert run(go()) == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": "b", "more": 6},
        {"id": 3, "less": 7},
    ]


def test_several_tables_and_names_that_need_quotes(url, sql):
    sql('CREATE SCHEMA "Sales"', 'CREATE TABLE "Sales"."or""der" (at int)')
    sql("CREATE TABLE t (id int)", "CREATE TABLE other (id int)")
    primitive = PostgresChanges(["t", 'Sales.or"der'], url)
    run(begin(primitive))
    sql(
        "INSERT INTO t VALUES (1)",
        "INSERT INTO other VALUES (2)",
        'INSERT INTO "Sales"."or""der" VALUES (3)',
    )

    async def go():
        async with primitive.source(Env()) as source:
            return [(one.table, one.row) for one in (await some(source, 2))[0]]

    try:
        assert run(go()) == [("public.t", {"id": 1}), ('Sales.or"der', {"at": 3})]
    finally:
        assert primitive.drop(Env()) == 1


def test_a_large_transaction_comes_page_by_page_and_is_acknowledged_whole(changes, sql):
    run(begin(changes))
    sql(
        "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 30000) AS i",
        "INSERT INTO t VALUES (0)",
    )

    async def go(settled):
        async with changes.source(Env()) as source:
            items, receipts = await some(source, 30_001)
            await source.settle(receipts[:settled], ok=True)
            return [change.row["id"] for change in items]

    every = [*range(1, 30_001), 0]
    assert run(go(29_999)) == every
    assert run(go(30_001)) == every
    run(begin(changes))


def test_what_was_settled_out_of_order_holds_the_slot_until_it_is_whole(changes, sql):
    run(begin(changes))
    sql(*(f"INSERT INTO t VALUES ({i})" for i in range(3)))

    async def only(settled, count):
        async with changes.source(Env()) as source:
            items, receipts = await some(source, count)
            done = [r for i, r in zip(items, receipts, strict=True) if i.row["id"] in settled]
            await source.settle(done, ok=True)
            return [change.row["id"] for change in items]

    assert run(only({1, 2}, 3)) == [0, 1, 2]
    assert run(only({0}, 3)) == [0, 1, 2]
    assert run(only({1, 2}, 2)) == [1, 2]
    run(begin(changes))


def test_what_was_kept_of_parts_of_transactions_does_not_come_again(changes, sql, tmp_path):
    env = replace(Env(), positions=tmp_path / "flow" / "one")
    run(begin(changes, env))
    sql(*(f"INSERT INTO t SELECT generate_series({i}, {i + 4})" for i in (0, 5, 10)))

    async def only(settled, count):
        async with changes.source(env) as source:
            items, receipts = await some(source, count)
            done = [r for i, r in zip(items, receipts, strict=True) if i.row["id"] in settled]
            await source.settle(done, ok=True)
            await source.keep()
            return {i.row["id"]: r for i, r in zip(items, receipts, strict=True)}

    first = run(only({0, 1, 2, 3, 4, 6, 8, 13}, 15))
    assert list(first) == list(range(15))
    second = run(only({5, 7, 9}, 7))
    assert list(second) == [5, 7, 9, 10, 11, 12, 14]
    assert second.items() <= first.items()
    assert list(run(only({10, 11, 12, 14}, 4))) == [10, 11, 12, 14]
    changes.drop(Env())
    run(begin(changes, env))
    sql("INSERT INTO t VALUES (15)")
    assert list(run(only({15}, 1))) == [15]


def test_more_unsettled_than_a_round_reads(changes, sql, monkeypatch):
    monkeypatch.setattr("buildflow_nb.io.postgres.change_source.ROUND", 10)
    monkeypatch.setattr("buildflow_nb.io.postgres.change_source.SETTLED_S", 0.001)
    run(begin(changes))
    sql(*(f"INSERT INTO t VALUES ({i})" for i in range(200)))

    async def go():
        async with changes.source(Env()) as source:
            items, receipts = await some(source, 200)
            await source.settle(receipts, ok=True)
            assert (await source.pull()).items == []
            return [change.row["id"] for change in items]

    assert run(go()) == list(range(200))
    run(begin(changes))


def test_each_processor_has_a_slot_of_its_own(changes, sql, tmp_path):
    envs = [replace(Env(), positions=tmp_path / "flow" / name) for name in ("one", "Zwei%20!")]
    for env in envs:
        run(begin(changes, env))
    sql("INSERT INTO t VALUES (1, 'a')")

    async def go(env):
        async with changes.source(env) as source:
            items, receipts = await some(source, 1)
            await source.settle(receipts, ok=True)
            return items

    assert (
        run(go(envs[0]))
        == run(go(envs[1]))
        == [PostgresChange(INSERT, "public.t", {"id": 1, "name": "a"})]
    )
    names = [changes.slot(env).name for env in envs]
    assert names[0].endswith("_one")
    assert names[1].endswith("_zwei_20")
    assert changes.drop(Env()) == 2
    assert changes.drop(Env()) == 0


def test_the_log_is_let_go_of_while_others_write(changes, sql, rows, monkeypatch):
    monkeypatch.setattr("buildflow_nb.io.postgres.change_source.IDLE_MOVE_S", 0.0)
    sql("CREATE TABLE noise (id int)")
    run(begin(changes))
    behind = "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE database = current_database()"  # noqa: E501
    ((before,),) = rows(behind)

    async def go():
        async with changes.source(Env()) as source:
            for _ in range(2):
                await asyncio.to_thread(sql, "INSERT INTO noise SELECT generate_series(1, 5000)")
                for _ in range(3):
                    assert (await source.pull()).items == []

    run(go())
    ((after,),) = rows(behind)
    assert after > before + 500_000


def test_a_table_that_is_not_there_is_waited_for(url, sql):
    primitive = PostgresChanges("late", url)

    async def go():
        async with primitive.source(Env()) as source:
            with pytest.raises(TemporaryError, match="does not exist"):
                await source.pull()
            await asyncio.to_thread(sql, "CREATE TABLE late (id int)")
            assert (await source.pull()).items == []
            await asyncio.to_thread(sql, "INSERT INTO late VALUES (1)")
            return (await some(source, 1))[0]

    try:
        assert run(go()) == [PostgresChange(INSERT, "public.late", {"id": 1})]
    finally:
        primitive.drop(Env())


def test_who_may_not_replicate_is_told(changes, sql, url):
    name = url.rpartition("/")[2]
    sql("CREATE ROLE plain LOGIN PASSWORD 'x'", f"GRANT CREATE ON DATABASE {name} TO plain")
    sql("ALTER TABLE t OWNER TO plain")
    own = PostgresChanges("t", "postgresql://plain:x@" + url.rpartition("@")[2])

    async def go():
        async with own.source(Env()) as source:
            await source.pull()

    try:
        with pytest.raises(PermanentError, match="permission denied"):
            run(go())
    finally:
        sql("REASSIGN OWNED BY plain TO postgres", "DROP OWNED BY plain", "DROP ROLE plain")


def test_a_server_that_decodes_nothing_is_told(tmp_path):
    program = (
        "import sys; from buildflow_nb.local_cloud.postgres import __main__; "
        "__main__.SETTINGS['wal_level'] = 'replica'; sys.exit(__main__.main())"
    )
    with Server(tmp_path, ["-c", program]) as server:
        server.run("CREATE TABLE t (id int)")
        primitive = PostgresChanges("t", server.url)

        async def go():
            async with primitive.source(Env()) as source:
                await source.pull()

        with pytest.raises(PermanentError, match="set wal_level=logical and restart it"):
            run(go())
        (found,) = run(primitive.check(Env()))
        assert found.said == "wal_level is replica"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ((), "tables must be the name"),
        (5, "tables must be the name"),
        (("a", ""), "must be the name"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_declared(tables, said):
    with pytest.raises(DeclarationError, match=said):
        PostgresChanges(tables, "postgresql://h/db")


AGAIN = {
    "dropped and made anew": ["DROP TABLE t", "CREATE TABLE t (id bigint PRIMARY KEY, name text)"],
    "renamed and made anew": ["ALTER TABLE t RENAME TO u", "CREATE TABLE t (LIKE u)"],
    "without its publication": ["DROP PUBLICATION {publication}"],
}


@pytest.mark.parametrize("between_runs", [False, True])
@pytest.mark.parametrize("how", AGAIN)
def test_what_is_not_published_any_more_is_again_and_it_is_told(
    changes, sql, caplog, how, between_runs
):
    run(begin(changes))
    name = changes.slot(Env()).publication
    statements = [one.format(publication=name) for one in AGAIN[how]]

    async def go():
        async with changes.source(Env()) as source:
            if not between_runs:
                await asyncio.to_thread(sql, "INSERT INTO t VALUES (1)")
                _, receipts = await some(source, 1)
                await source.settle(receipts, ok=True)
                for statement in statements:
                    await asyncio.to_thread(sql, statement)
                    while (await source.pull()).items:
                        pass
            assert (await source.pull()).items == []
            await asyncio.to_thread(sql, "INSERT INTO t VALUES (2)")
            return [one.row["id"] for one in (await some(source, 1))[0]]

    if between_runs:
        sql(*statements)
    assert caplog.text == ""
    assert run(go()) == [2]
    (warning,) = caplog.records
    since = "it was last read" if between_runs else " UTC"
    assert f"{since} may be lost" in warning.getMessage()
    assert warning.getMessage().startswith("public.t was not published any more")


def test_one_table_that_is_gone_does_not_hold_up_the_others(url, sql):
    sql("CREATE TABLE t (id int)", "CREATE TABLE u (id int)")
    primitive = PostgresChanges(["t", "u"], url)

    async def go():
        async with primitive.source(Env()) as source:
            assert (await source.pull()).items == []
            await asyncio.to_thread(sql, "DROP TABLE t")
            assert (await source.pull()).items == []
            await asyncio.to_thread(sql, "INSERT INTO u VALUES (1)")
            found = (await some(source, 1))[0]
            await asyncio.to_thread(sql, "CREATE TABLE t (id int)")
            assert (await source.pull()).items == []
            await asyncio.to_thread(sql, "INSERT INTO t VALUES (2)")
            return [one.row["id"] for one in found + (await some(source, 1))[0]]

    try:
        assert run(go()) == [1, 2]
    finally:
        primitive.drop(Env())


def test_a_slot_that_was_gone_between_runs_is_told(changes, sql, tmp_path, caplog):
    env = replace(Env(), positions=tmp_path / "flow" / "one")
    run(begin(changes, env))
    sql("INSERT INTO t VALUES (1)")

    async def read():
        async with changes.source(env) as source:
            items, receipts = await some(source, 1)
            await source.settle(receipts, ok=True)
            return [one.row["id"] for one in items]

    assert run(read()) == [1]
    sql(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE database = current_database()",
        "INSERT INTO t VALUES (2)",
    )
    assert caplog.text == ""
    run(begin(changes, env))
    (warning,) = caplog.records
    assert "was gone, and is made anew; changes since 0/" in warning.getMessage()
    run(begin(changes, env))
    assert len(caplog.records) == 1


WORKER = """
import sys
from buildflow_nb import Flow
from buildflow_nb.io.postgres import PostgresChanges, PostgresTable
from buildflow_nb.types.postgres import PostgresChange
from dataclasses import dataclass

@dataclass
class Copy:
    id: int
    name: str

app = Flow("copying")

url = sys.argv[1]

@app.consumer(source=PostgresChanges("t", url), sink=PostgresTable("copy", url), WORDS)
def follow(change: PostgresChange) -> Copy:
    return Copy(change.row["id"], change.row["name"])

app.run(block=True, serve_port=0)
"""


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_reader_that_is_killed_again_and_again_has_no_gap(request, rows, url, tmp_path, delivery):
    """And a writer that goes on meanwhile."""
    sql = request.getfixturevalue("sql")
    request.getfixturevalue("changes")
    script = tmp_path / "worker.py"
    script.write_text(WORKER.replace("WORDS", f"delivery={delivery!r}"))
    total, kills = 6_000, 3

    def follow():
        return subprocess.Popen(
            [sys.executable, str(script), url],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def copied():
        if rows("SELECT to_regclass('copy')") == [(None,)]:
            return 0
        return rows("SELECT count(DISTINCT id) FROM copy")[0][0]

    fill = "INSERT INTO t SELECT i, 'row ' || i FROM generate_series({}, {}) AS i"
    slots = "SELECT 1 FROM pg_replication_slots WHERE database = current_database()"
    process = follow()
    try:
        until(lambda: rows(slots))
        for part in range(kills):
            first, last = part * total // kills, (part + 1) * total // kills - 1
            half = (first + last) // 2
            sql(fill.format(first, half))
            until(lambda: copied() > first)  # noqa: B023
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            sql(fill.format(half + 1, last))
            process = follow()
        until(lambda: copied() == total)
        both = "SELECT count(DISTINCT id), count(*) FROM t JOIN copy USING (id, name)"
        ((distinct, count),) = rows(both)
        assert distinct == total
        assert count >= total
        if delivery == "exactly-once":
            assert count == total
    finally:
        process.kill()
        process.wait(10)
