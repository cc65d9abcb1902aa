"""Postgres tables: what every sink and source keeps, and what is Postgres's own."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import (
    DeclarationError,
    DeniedError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Env, IdempotentSink, PushId
from buildflow_nb.io.columns.kinds import PLAIN_KINDS, list_kind
from buildflow_nb.io.postgres import PostgresTable
from buildflow_nb.io.postgres.columns import type_of
from buildflow_nb.io.postgres.source import QuerySource
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

RECORDS = [{"x": i, "name": f"row {i}"} for i in range(2_500)]
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


@dataclass
class Dated:
    x: int
    name: str
    at: dt.datetime | None = None


@dataclass
class Keyed:
    id: int
    name: str | None
    n: int = 0


@pytest.fixture
def table(url):
    """Makes a table's primitive in the database of this test."""
    return lambda name="t", **words: PostgresTable(name, url, **words)


class Points:
    """The rows of the table `t`, in the order in which they lie there."""

    @pytest.fixture(autouse=True)
    def _in_a_database(self, url, rows):
        self.url, self.rows = url, rows

    def make(self, folder):
        del folder
        return PostgresTable("t", self.url)

    def read(self, folder):
        del folder
        if self.rows("SELECT to_regclass('t')") == [(None,)]:
            return []
        return [Point(*row) for row in self.rows("SELECT x, name FROM t ORDER BY ctid")]


class TestSink(Points, SinkContract):
    element = Point
    samples = POINTS
    bad = Point("no number", "x")


class TestSinkWithoutAType(Points, SinkContract):
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        return [{"x": point.x, "name": point.name} for point in super().read(folder)]


class TestSinkThatMeetsAConstraint(Points, SinkContract):
    element = Point
    samples = POINTS
    bad = Point(-1, "x")

    @pytest.fixture(autouse=True)
    def _constrained(self, _in_a_database, sql):
        sql("CREATE TABLE t (x bigint CHECK (x > 0), name varchar(40) NOT NULL)")


class TestSinkByKey(Points, SinkContract):
    element = Keyed
    samples: ClassVar[list[object]] = [Keyed(i, f"row {i}", i) for i in range(5)]
    bad = Keyed(7, "x", "no number")

    def make(self, folder):
        del folder
        return PostgresTable("t", self.url, key="id")

    def read(self, folder):
        del folder
        if self.rows("SELECT to_regclass('t')") == [(None,)]:
            return []
        return [Keyed(*row) for row in self.rows("SELECT id, name, n FROM t ORDER BY id")]

    def test_concurrent_pushes_stay_whole(self, tmp_path):
        """Of the same keys, so that they replace each other."""
        primitive = self.make(tmp_path)

        async def go():
            async with primitive.sink(Env(), Keyed) as one, primitive.sink(Env(), Keyed) as two:
                import asyncio

                pushes = [
                    sink.push(self.samples[:: 1 if sink is one else -1])
                    for sink in (one, two)
                    for _ in range(20)
                ]
                await asyncio.gather(*pushes)

        run(go())
        assert self.read(tmp_path) == self.samples


class TestSource(Points, SourceContract):
    reads = (QuerySource, "_fetch")
    expected = RECORDS

    def prepare(self, folder):
        self.rows("DROP TABLE IF EXISTS t")
        pushed(self.make(folder), RECORDS)
        return self.make(folder)


@pytest.mark.parametrize("kind", POINT_TYPES)
def test_every_kind_of_record_can_be_written(table, rows, kind):
    pushed(table(), [kind(x=1, name="one")], element=kind)
    assert rows("SELECT x, name FROM t") == [(1, "one")]


def test_every_type_is_stored_as_what_it_is(table, rows):
    full, bare = everything()
    pushed(table(), [full, bare], element=Everything)
    found = dict(
        rows(
            "SELECT column_name::text, udt_name::text FROM information_schema.columns "
            "WHERE table_name = 't'"
        )
    )
    assert found["number"] == "int8"
    assert found["zoned"] == "timestamptz"
    assert found["amount"] == "numeric"
    assert found["key"] == "uuid"
    assert found["tags"] == "_text"
    assert found["counts"] == "jsonb"
    assert found["inner"] == "jsonb"
    ((amount, raw, span, tags, zoned),) = rows(
        "SELECT amount, raw, span, tags, zoned FROM t WHERE number < 0"
    )
    assert (amount, raw, span, tags) == (full.amount, full.raw, full.span, full.tags)
    assert zoned == full.zoned
    nullable = rows("SELECT is_nullable FROM information_schema.columns WHERE column_name = 'note'")
    assert nullable == [("YES",)]


def test_what_was_written_comes_back_as_it_was(table):
    elements = everything()
    for element in elements:  # a moment without a zone is one of UTC
        element.at = element.at.replace(tzinfo=dt.UTC)
    pushed(table(), elements, element=Everything)
    assert decoded(Everything, table(), pulled(table())) == elements


def test_names_are_names_whatever_they_are(table, rows):
    odd = {"at": 1, "order": 2, 'quo"te': 3, "Ünï Cödé": 4, "select": 5, "a.b": 6, "%s": 7}
    pushed(table('Or"der; DROP', schema="public", key=["order", 'quo"te']), [odd], [odd])
    assert pulled(table('Or"der; DROP', schema="public")) == [odd]
    assert rows('SELECT count(*) FROM "Or""der; DROP"') == [(1,)]


def test_a_schema_is_named_before_a_dot(table, sql, rows):
    with pytest.raises(PermanentError, match="create the schema, or name another one"):
        pushed(table("sales.t"), [Point(1, "a")], element=Point)
    sql("CREATE SCHEMA sales")
    pushed(table("sales.t"), [Point(1, "a")], element=Point)
    assert rows("SELECT x FROM sales.t") == [(1,)]
    assert table("sales.t").label == "sales.t"
    assert table("t").label == "t"


@pytest.mark.parametrize(
    ("column", "items", "failed"),
    [
        ("name text NOT NULL", [(1, "a"), (2, None), (3, "c")], {1: "not-null"}),
        ("name varchar(3)", [(1, "a"), (2, "b"), (3, "long")], {2: "too long"}),
        ("name text CHECK (name <> 'b')", [(1, "b"), (2, "c"), (3, "b")], {0: "check", 2: "check"}),
        ("name text UNIQUE", [(1, "a"), (2, "a"), (3, "c")], {1: "unique"}),
        ("name text", [(1, "a"), (2, "nul \0"), (3, "c")], {1: "0x00"}),
        ("name date", None, {}),
    ],
)
@pytest.mark.parametrize("key", [None, "id"])
def test_a_constraint_fails_its_element_alone(  # noqa: PLR0913, PLR0917
    table, sql, rows, column, items, failed, key
):
    sql(f"CREATE TABLE t (id bigint PRIMARY KEY, {column}, n bigint)")
    if items is None:
        with pytest.raises(PermanentError, match=r"has date in column 'name'"):
            pushed(table(key=key), [Keyed(1, "x")], element=Keyed)
        return
    elements = [Keyed(i, name) for i, name in items]
    with pytest.raises(PartialPushError) as caught:
        pushed(table(key=key), elements, element=Keyed)
    assert list(caught.value.failed) == list(failed)
    for at, said in failed.items():
        assert said in str(caught.value.failed[at])
    kept = [(e.id,) for i, e in enumerate(elements) if i not in failed]
    assert rows("SELECT id FROM t ORDER BY id") == kept


def test_many_elements_at_fault_are_found_in_one_push(table, sql, rows):
    sql("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, n bigint)")
    elements = [Keyed(i, None if i % 7 == 3 else "x") for i in range(1_000)]
    with pytest.raises(PartialPushError) as caught:
        pushed(table(), elements, element=Keyed)
    assert list(caught.value.failed) == [i for i in range(1_000) if i % 7 == 3]
    assert rows("SELECT count(*) FROM t") == [(1_000 - len(caught.value.failed),)]


def test_a_foreign_key_fails_its_elements_alone(table, sql, rows):
    sql("CREATE TABLE p (id bigint PRIMARY KEY)", "INSERT INTO p VALUES (1), (2)")
    sql("CREATE TABLE t (id bigint PRIMARY KEY REFERENCES p, name text, n bigint)")
    for key in (None, "id"):
        with pytest.raises(PartialPushError) as caught:
            pushed(table(key=key), [Keyed(1, "a"), Keyed(9, "b"), Keyed(2, "c")], element=Keyed)
        assert list(caught.value.failed) == [1]
        assert rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
        sql("TRUNCATE t")


@pytest.mark.parametrize("once", [False, True])
def test_a_constraint_that_is_checked_at_the_end_fails_its_elements_alone(table, sql, rows, once):
    sql(
        "CREATE TABLE t (id bigint, name text UNIQUE DEFERRABLE INITIALLY DEFERRED, n bigint)",
        "INSERT INTO t VALUES (0, 'taken')",
    )
    items = [Keyed(1, "a"), Keyed(2, "taken"), Keyed(3, "a"), Keyed(4, "d")]

    async def go():
        async with table().sink(Env(), Keyed) as sink:
            if once:
                await sink.push_once(items, PushId("w", 0, 4))
            else:
                await sink.push(items)

    with pytest.raises(PartialPushError, match="unique constraint") as caught:
        run(go())
    assert list(caught.value.failed) == [1, 2]
    assert rows("SELECT id FROM t ORDER BY id") == [(0,), (1,), (4,)]


@pytest.mark.parametrize("key", [None, "id"])
def test_what_a_trigger_refuses_fails_alone_and_its_values_are_not_told(table, sql, rows, key):
    sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text, n bigint)",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF new.n < 0 THEN RAISE EXCEPTION 'not %', new.name; END IF; RETURN new; END $$",
        "CREATE TRIGGER refusing BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    items = [Keyed(1, "a", 1), Keyed(2, "s3cret", -1), Keyed(3, "c", 1)]
    with pytest.raises(PartialPushError, match=r"a trigger refused it \(refuse\(\)\)") as caught:
        pushed(table(key=key), items, element=Keyed)
    assert list(caught.value.failed) == [1]
    assert "s3cret" not in f"{caught.value} {caught.value.failed[1]}"
    assert rows("SELECT id FROM t ORDER BY id") == [(1,), (3,)]


def test_a_field_without_a_name_is_told_in_one_line(table):
    with pytest.raises(PermanentError, match=r"table 'public\.t': the elements have a field named"):
        pushed(table(), [{"": 1, "x": 2}])


def test_narrower_columns_refuse_what_they_would_cut(table, sql, rows):
    sql("CREATE TABLE t (id integer, name text, n smallint)")
    with pytest.raises(PartialPushError) as caught:
        pushed(table(), [Keyed(1, "a", 1), Keyed(2**31, "b"), Keyed(3, "c", 2**15)], element=Keyed)
    assert list(caught.value.failed) == [1, 2]
    assert rows("SELECT id FROM t") == [(1,)]


def test_of_one_key_in_a_push_the_last_one_stays(table, rows):
    elements = [Keyed(1, "first"), Keyed(2, "two"), Keyed(1, "last")]
    pushed(table(key="id"), elements, [Keyed(2, "zwei")], element=Keyed)
    assert rows("SELECT id, name FROM t ORDER BY id") == [(1, "last"), (2, "zwei")]


def test_where_the_last_one_is_at_fault_the_one_before_stays(table, sql, rows):
    sql("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(5), n bigint)")
    with pytest.raises(PartialPushError) as caught:
        pushed(table(key="id"), [Keyed(1, "first"), Keyed(1, "too long")], element=Keyed)
    assert list(caught.value.failed) == [1]
    assert rows("SELECT id, name FROM t") == [(1, "first")]


def test_keys_that_postgres_alone_takes_for_equal_replace_each_other(table, sql, rows):
    sql("CREATE EXTENSION citext", "CREATE TABLE t (id bigint, name citext PRIMARY KEY, n bigint)")
    pushed(table(key="name"), [Keyed(1, "A", 1), Keyed(2, "a", 2), Keyed(3, "b", 3)], element=Keyed)
    assert rows("SELECT name, n FROM t ORDER BY name") == [("A", 2), ("b", 3)]


def test_an_element_without_a_key_fails_alone(table, rows):
    @dataclass
    class Lax:
        id: int | None
        name: str

    with pytest.raises(PartialPushError) as caught:
        pushed(table(key="id"), [Lax(1, "a"), Lax(None, "b")], element=Lax)
    assert list(caught.value.failed) == [1]
    assert rows("SELECT id FROM t") == [(1,)]


def test_a_key_needs_an_index(table, sql):
    sql("CREATE TABLE t (id bigint, name text, n bigint)")
    with pytest.raises(PermanentError, match=r"no primary key or unique index of just \(id\)"):
        pushed(table(key="id"), [Keyed(1, "a")], element=Keyed)
    with pytest.raises(PermanentError, match="has the key 'no', and the elements have no such"):
        pushed(table("u", key="no"), [Keyed(1, "a")], element=Keyed)


def test_columns_that_lack_are_said_and_added_if_wished(table, sql, rows):
    sql("CREATE TABLE t (id bigint)")
    with pytest.raises(PermanentError, match=r'lacks the columns "name" text, "n" bigint'):
        pushed(table(), [Keyed(1, "a", 5)], element=Keyed)
    pushed(table(evolve=True), [Keyed(1, "a", 5)], element=Keyed)
    assert rows("SELECT id, name, n FROM t") == [(1, "a", 5)]


def test_a_column_that_needs_a_value_is_said(table, sql, rows):
    sql("CREATE TABLE t (x bigint, name text, more int NOT NULL, own int NOT NULL DEFAULT 7)")
    with pytest.raises(PermanentError, match="needs a value in column 'more'"):
        pushed(table(), POINTS, element=Point)
    sql("ALTER TABLE t ALTER more SET DEFAULT 3")
    pushed(table(), POINTS[:1], element=Point)
    assert rows("SELECT x, more, own FROM t") == [(1, 3, 7)]


def test_columns_that_postgres_fills_are_left_to_it(table, sql, rows):
    sql(
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x int, "
        "name text DEFAULT 'none', twice int GENERATED ALWAYS AS (x * 2) STORED)"
    )
    pushed(table(), [{"x": 1}, {"x": 2}])
    assert rows("SELECT id, x, name, twice FROM t") == [(1, 1, "none", 2), (2, 2, "none", 4)]


def test_other_types_that_take_the_values_are_fine(table, sql, rows):
    sql(
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE DOMAIN small AS int CHECK (VALUE < 10)",
        "CREATE TABLE t (x small, name mood, at timestamp)",
    )
    at = dt.datetime(2024, 1, 1, 12, tzinfo=EAST)
    elements = [Dated(1, "good", at), Dated(2, "odd", at), Dated(11, "bad", at)]
    with pytest.raises(PartialPushError) as caught:
        pushed(table(), elements, element=Dated)
    assert list(caught.value.failed) == [1, 2]
    assert rows("SELECT x, name::text, at FROM t") == [(1, "good", dt.datetime(2024, 1, 1, 6, 30))]


def test_a_table_that_is_dropped_in_the_middle_is_made_anew(table, sql, rows):
    for key in (None, "x"):

        async def go(key=key):
            import asyncio

            async with table(key=key).sink(Env(), Point) as sink:
                await sink.push(POINTS[:1])
                await asyncio.to_thread(sql, "DROP TABLE t")
                await sink.push(POINTS[1:2])

        run(go())
        assert rows("SELECT x FROM t") == [(2,)]
        sql("DROP TABLE t")


def test_a_table_that_is_altered_in_the_middle_is_looked_at_again(table, sql, rows):
    async def go(change):
        import asyncio

        async with table(key="x").sink(Env(), Point) as sink:
            await sink.push(POINTS[:1])
            await asyncio.to_thread(sql, change)
            await sink.push(POINTS[1:2])

    run(go("ALTER TABLE t ADD more int"))
    assert rows("SELECT x FROM t ORDER BY x") == [(1,), (2,)]
    with pytest.raises(PermanentError, match='lacks the column "name" text'):
        run(go("ALTER TABLE t DROP name"))


class TestOnce:
    """A push is stored once, however often it is told."""

    def push(self, primitive, *pushes, element=Keyed):
        async def go():
            async with primitive.sink(Env(), element) as sink:
                assert isinstance(sink, IdempotentSink)
                for items, push in pushes:
                    await sink.push_once(items, push)

        run(go())

    def test_a_repeated_push_stores_nothing(self, table, rows):
        one, two = [Keyed(1, "a")], [Keyed(2, "b"), Keyed(3, "c")]
        self.push(table(), (one, PushId("w", 0, 1)), (two, PushId("w", 1, 2)))
        self.push(table(), (two, PushId("w", 1, 2)), ([Keyed(4, "d")], PushId("w", 3, 1)))
        assert rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,), (4,)]
        assert rows("SELECT writer, first, count FROM buildflow_pushes") == [("w", 3, 1)]

    def test_writers_and_tables_do_not_disturb_each_other(self, table, rows):
        one = [Keyed(1, "a")]
        for primitive in (table(), table("u")):
            for writer in ("v", "w"):
                self.push(primitive, (one, PushId(writer, 0, 1)), (one, PushId(writer, 0, 1)))
        assert rows("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)") == [(2, 2)]

    def test_elements_at_fault_count_as_stored(self, table, sql, rows):
        sql("CREATE TABLE t (id bigint, name text NOT NULL, n bigint)")
        items = [Keyed(1, "a"), Keyed(2, None)]
        with pytest.raises(PartialPushError) as caught:
            self.push(table(), (items, PushId("w", 0, 2)))
        assert list(caught.value.failed) == [1]
        with pytest.raises(PartialPushError, match="not-null") as again:
            self.push(table(), (items, PushId("w", 0, 2)))
        assert str(again.value) == str(caught.value)
        assert rows("SELECT id FROM t") == [(1,)]

    def test_a_ledger_from_before_faults_were_noted_goes_on(self, table, sql, rows):
        sql(
            "CREATE TABLE t (id bigint, name text NOT NULL, n bigint)",
            "CREATE TABLE buildflow_pushes (target text, writer text, relation oid, first bigint, "
            "count bigint, stored_at timestamptz DEFAULT now(), PRIMARY KEY (target, writer))",
            "INSERT INTO buildflow_pushes VALUES "
            """('"public"."t"', 'w', 't'::regclass::oid, 0, 2)""",
        )
        self.push(table(), ([Keyed(1, "a"), Keyed(2, "b")], PushId("w", 0, 2)))
        for _ in range(2):
            with pytest.raises(PartialPushError, match="not-null"):
                self.push(table(), ([Keyed(3, "a"), Keyed(4, None)], PushId("w", 2, 2)))
        assert rows("SELECT id FROM t") == [(3,)]

    def test_a_table_that_is_made_anew_has_no_pushes(self, table, sql, rows):
        one = [Keyed(1, "a")]
        self.push(table(), (one, PushId("w", 0, 1)))
        sql("DROP TABLE t")
        self.push(table(), (one, PushId("w", 0, 1)))
        assert rows("SELECT id FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (
            lambda url: url.replace("made", "wrong"),
            PermanentError,
            "authentication failed.*; look at the user",
        ),
        (lambda url: url.rpartition("/")[0] + "/absent", PermanentError, "create it, or name an"),
        (lambda url: "postgresql://me:word@127.0.0.1:1/db", TemporaryError, "cannot be reached"),
    ],
)
def test_a_database_that_cannot_be_had_is_told_in_one_line(url, change, kind, said):
    wrong = change(url)

    async def go():
        async with PostgresTable("t", wrong).sink(Env(), Point) as sink:
            await sink.push(POINTS)

    with pytest.raises(kind, match=said) as caught:
        run(go())
    text = str(caught.value)
    assert "\n" not in text
    assert "word@" not in text
    assert "made" not in text


def test_who_may_not_write_is_told(table, sql, url, rows):
    pushed(table(), POINTS, element=Point)
    sql("CREATE ROLE reader LOGIN PASSWORD 'x'", "GRANT SELECT ON t TO reader")
    own = "postgresql://reader:x@" + url.rpartition("@")[2]
    try:
        with pytest.raises(DeniedError, match="permission denied"):
            pushed(PostgresTable("t", own), POINTS, element=Point)
        assert len(pulled(PostgresTable("t", own))) == len(POINTS)
    finally:
        sql("REVOKE ALL ON t FROM reader", "DROP ROLE reader")


def test_a_password_is_nowhere(url):
    primitive = PostgresTable("t", url)
    shown = f"{primitive!r} {primitive.primitive_id} {primitive.label}"
    assert "word" not in shown
    assert "postgres:" not in shown
    assert primitive.url == Secret(url)
    assert primitive == PostgresTable("t", Secret(url))


@pytest.mark.parametrize("sign", ["/", "?", "#", "@/", "@?", "@#"])
@pytest.mark.parametrize("kind", [str, Secret])
def test_a_password_that_ends_the_address_early_is_refused_and_not_shown(sign, kind):
    url = kind(f"postgresql://me:12345{sign}S3cret@127.0.0.1:5/db")
    with pytest.raises(DeclarationError, match="/ as %2F") as caught:
        PostgresTable("t", url)
    assert "S3cret" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_credentials_that_are_quoted_whole_are_not_shown():
    primitive = PostgresTable("t", "postgresql://me%3AS3cret%40127.0.0.1:5/db")
    assert "S3cret" not in f"{primitive!r} {primitive.primitive_id}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"table": ""}, "table must be the name of a table"),
        ({"table": "a" * 64}, "at most 63 bytes"),
        ({"table": "t", "url": "mysql://h/db"}, "url must look like postgresql://"),
        ({"table": "t", "url": "postgresql://h:port/db"}, "url must look like postgresql://"),
        ({"table": "t", "url": 5}, "url must be a text or a Secret"),
        ({"table": "t", "key": []}, "key must be the name of a column"),
        ({"table": "t", "key": ["a", "a"]}, "names a column twice"),
        ({"table": "t", "database": "shop"}, "database must be a primitive"),
        ({"table": "t", "url": "postgresql://h/db", "user": "me"}, "put it into the URL"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_declared(words, said):
    with pytest.raises(DeclarationError, match=said):
        PostgresTable(**words)


def test_without_the_client_the_extra_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeclarationError, match=r"pip install 'buildflow_nb\[postgres\]'"):
        PostgresTable("t", "postgresql://h/db")


def test_on_the_real_cloud_a_database_has_to_be_named():
    with pytest.raises(PermanentError, match="give url='postgresql://"):
        pushed(PostgresTable("t"), POINTS, element=Point)


def test_decimals_are_exact(table, rows):
    @dataclass
    class Money:
        amount: decimal.Decimal

    amounts = [decimal.Decimal("0.1"), decimal.Decimal("-12345678901234567890.123456789")]
    pushed(table(), [Money(amount) for amount in amounts], element=Money)
    assert rows("SELECT amount FROM t") == [(amount,) for amount in amounts]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (dt.datetime.min, dt.date.min),
        (dt.datetime.max, dt.date.max),
        (dt.datetime(1, 1, 2), dt.date.max),
        (dt.datetime.max, dt.date(9999, 12, 30)),
    ],
)
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
def test_the_last_day_is_a_day(server, database, at, day, kind):
    """Which the client would make infinity of."""

    @dataclass
    class Until:
        at: dt.datetime
        day: dt.date

    table = PostgresTable("t", server.url_of(database))
    server.run(f"CREATE TABLE t (at {kind}, day date)", database=database)
    zoned = at.replace(tzinfo=dt.UTC)
    pushed(table, [Until(zoned, dt.date(2024, 1, 1))], [Until(zoned, day)] * 2, element=Until)
    finite = "SELECT DISTINCT isfinite(at) AND isfinite(day) FROM t"
    assert server.rows(finite, database=database) == [(True,)]
    found = pulled(table)
    stored = zoned if kind == "timestamptz" else at
    assert found[1:] == [{"at": stored, "day": day}] * 2


def test_the_document_says_what_the_columns_are():
    page = Path(__file__).parents[3] / "docs" / "types-in-stores.md"
    said = {}
    for line in page.read_text().splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) > 5:
            said[cells[2].strip()] = cells[5].strip()
    made = {word: type_of(kind) for word, kind in PLAIN_KINDS.items()}
    made |= {"list": type_of(list_kind(PLAIN_KINDS["int64"])), "struct": "jsonb"}
    assert {word: said[word] for word in made} == made
