"""Tables of Snowflake as sinks."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import sys
import threading
import uuid
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import (
    DeclarationError,
    DeniedError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Env, PushId
from buildflow_nb.io.snowflake import SnowflakeTable, client, read_private_key_file
from buildflow_nb.io.snowflake.key_file import der_of
from buildflow_nb.local_cloud.snowflake.store import SNOWFLAKE
from tests.io.contract import SinkContract, run
from tests.io.records import POINTS, Point
from tests.local_cloud.servers import GivenServices, Served

pytestmark = pytest.mark.emulator


def pushed(shop, table, *pushes, element=Point):
    async def go():
        async with table.sink(shop.env, element) as sink:
            for items in pushes:
                await sink.push(items)

    run(go())


class TestSink(SinkContract):
    element = Point
    samples = POINTS
    bad = Point("no number", "x")

    @pytest.fixture(autouse=True)
    def _shop(self, shop, monkeypatch):
        self.shop = shop
        # The contract opens everything by an environment of its own.
        real = client.connect
        monkeypatch.setattr(
            "buildflow_nb.io.snowflake.sink.connect", lambda account, _: real(account, shop.env)
        )
        monkeypatch.setattr(
            "buildflow_nb.io.snowflake.look.connect", lambda account, _: real(account, shop.env)
        )
        monkeypatch.setattr(
            "buildflow_nb.io.snowflake.table.connect", lambda account, _: real(account, shop.env)
        )

    def make(self, folder):
        return self.shop.table(folder)

    def read(self, folder):
        sql = 'SELECT "x", "name" FROM @'
        return [Point(*row) for row in self.shop.query(sql, self.make(folder))]


@dataclass
class Inner:
    x: int
    y: str | None


@dataclass
class Everything:
    i: int
    f: float
    b: bool
    s: str
    raw: bytes
    day: dt.date
    clock: dt.time
    at: dt.datetime
    span: dt.timedelta
    amount: decimal.Decimal
    key: uuid.UUID
    free: dict[str, Any]
    words: list[str]
    inner: Inner
    inners: list[Inner]
    maybe: int | None = None
    maybe_inner: Inner | None = None


ALL = Everything(
    2**63 - 1, 2.5, True, "caf\xe9 'quoted'", b"\x00\xff", dt.date(1960, 1, 2), dt.time(1, 2, 3, 4),
    dt.datetime(2020, 1, 2, 3, 4, 5, 6, dt.timezone(dt.timedelta(hours=2))),
    dt.timedelta(hours=-2, microseconds=3), decimal.Decimal("-1.000000001"), uuid.UUID(int=7),
    {"a": [1, None]}, ["x", ""], Inner(1, None), [Inner(2, "y")],
)  # fmt: skip


def test_every_type_arrives_as_the_page_says(shop, tmp_path):
    table = shop.table(tmp_path)
    pushed(shop, table, [ALL], element=Everything)
    (row,) = shop.query("SELECT * FROM @", table)
    found = dict(zip(ALL.__dataclass_fields__, row, strict=True))
    for name in ("i", "f", "b", "s", "day", "clock", "at", "amount"):
        assert found[name] == getattr(ALL, name), name
    assert bytes(found["raw"]) == ALL.raw
    assert found["span"] == -7_199_999_997
    assert found["key"] == str(ALL.key)
    for name, value in {
        "free": ALL.free,
        "words": ALL.words,
        "inner": {"x": 1, "y": None},
        "inners": [{"x": 2, "y": "y"}],
    }.items():
        assert json.loads(found[name]) == value, name
    assert (found["maybe"], found["maybe_inner"]) == (None, None)


def test_a_push_is_stored_once_whoever_repeats_it(shop, tmp_path):
    table, count = shop.table(tmp_path), len(POINTS)

    async def go():
        for _ in range(2):
            async with table.sink(shop.env, Point) as sink:
                await sink.push_once(POINTS, PushId("flow-prices", 0, count))
        async with table.sink(shop.env, Point) as sink:
            await sink.push_once(POINTS, PushId("flow-prices", count, count))
            await sink.push_once(POINTS, PushId("flow-others", 0, count))

    run(go())
    assert shop.query("SELECT count(*) FROM @", table) == [(3 * count,)]


@dataclass
class Loose:
    x: int
    name: str | None


def test_what_a_table_of_others_refuses_fails_alone(shop, tmp_path):
    table = shop.table(tmp_path)
    pushed(shop, shop.table(tmp_path / "other"), POINTS)  # so that the schema is there
    shop.query('CREATE TABLE @ ("x" NUMBER NOT NULL, "name" VARCHAR NOT NULL)', table)
    items = [Loose(1, "one"), Loose(2, None), Loose(3, "three")]
    with pytest.raises(PartialPushError) as found:
        pushed(shop, table, items, element=Loose)
    assert list(found.value.failed) == [1]
    assert shop.query('SELECT "x" FROM @ ORDER BY 1', table) == [(1,), (3,)]


@pytest.mark.parametrize(
    "case",  # the column's type, the field's, values that it holds, values that it does not
    [
        ("NUMBER(3, 0)", int, [999, -999], [1000]),
        ("NUMBER", float, [2.0], [1.9, 1e38, float("nan")]),
        ("NUMBER(10, 2)", decimal.Decimal, [decimal.Decimal("1.23")],
         [decimal.Decimal("1.239"), decimal.Decimal("123456789012")]),
        ("FLOAT", int, [2**53], [2**53 + 1]),
        ("VARCHAR(3)", str, ["abc"], ["abcd"]),
        ("DATE", dt.datetime, [dt.datetime(2020, 1, 1)], [dt.datetime(2020, 1, 1, 5)]),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_column_of_others_would_hold_as_something_else_fails_alone(shop, tmp_path, case):
    there, hint, sound, bad = case
    table = shop.table(tmp_path)
    pushed(shop, shop.table(tmp_path / "other"), POINTS)  # so that the schema is there
    shop.query(f'CREATE TABLE @ ("n" NUMBER, "v" {there})', table)
    element = make_dataclass("Row", [("n", int), ("v", hint)])
    items = [element(n, value) for n, value in enumerate([*sound, *bad])]
    with pytest.raises(PartialPushError) as found:
        pushed(shop, table, items, element=element)
    assert sorted(found.value.failed) == list(range(len(sound), len(items)))
    assert "column 'v' is" in str(found.value.failed[len(sound)])
    with pytest.raises(PartialPushError):
        pushed(shop, table, items[len(sound) :], element=element)
    stored = shop.query('SELECT "n" FROM @ ORDER BY 1', table)
    assert [n for (n,) in stored] == list(range(len(sound)))


@pytest.mark.parametrize("at_fault", [[3], [0, 4], [8], [3, 7, 8], list(range(9))])
def test_a_push_that_is_repeated_tells_of_the_same_faults(shop, tmp_path, at_fault):
    table = shop.table(tmp_path)
    pushed(shop, shop.table(tmp_path / "other"), POINTS)  # so that the schema is there
    shop.query('CREATE TABLE @ ("x" NUMBER NOT NULL, "name" VARCHAR NOT NULL)', table)
    items = [Loose(i, None if i in at_fault else "n") for i in range(9)]
    items[4] = Loose("no number", "n") if 4 in at_fault else items[4]  # found before it is sent
    told = []

    async def go():
        for _ in range(2):
            async with table.sink(shop.env, Loose) as sink:
                with pytest.raises(PartialPushError) as found:
                    await sink.push_once(items, PushId("flow-prices", 0, 9))
                told.append({at: str(error) for at, error in found.value.failed.items()})
            # A repetition looks at its notes, not at what the table takes by now.
            shop.query('ALTER TABLE @ ALTER COLUMN "name" DROP NOT NULL', table)

    run(go())
    assert sorted(told[0]) == at_fault
    assert told[1] == told[0]
    sound = [(i,) for i in range(9) if i not in at_fault]
    assert shop.query('SELECT "x" FROM @ ORDER BY 1', table) == sound


def test_notes_of_an_older_version_are_read_and_get_their_faults(shop, tmp_path):
    table = SnowflakeTable("t", "Shop", "Older")

    async def go():
        async with table.sink(shop.env, Point) as sink:
            await sink.push(POINTS[:1])
            ledger = '"Shop"."Older".BUILDFLOW_PUSHES'
            sql = f"CREATE TABLE {ledger} (WRITER VARCHAR, TARGET VARCHAR, DONE NUMBER)"
            shop.query(sql, table)
            shop.query(f"INSERT INTO {ledger} VALUES ('w', 't', 2)", table)
            await sink.push_once(POINTS[:2], PushId("w", 0, 2))  # was there before
            bad = [POINTS[2], Point("no number", "x")]
            for _ in range(2):
                with pytest.raises(PartialPushError) as found:
                    await sink.push_once(bad, PushId("w", 2, 2))
                assert list(found.value.failed) == [1]

    run(go())
    assert shop.query("SELECT count(*) FROM @", table) == [(2,)]


def test_a_table_with_other_columns_is_refused_in_one_line(shop, tmp_path):
    table = shop.table(tmp_path)
    pushed(shop, table, [{"x": 1}], element=None)
    with pytest.raises(PermanentError, match=r"has no column 'name' \(it has x\); add it") as found:
        pushed(shop, table, POINTS)
    assert "\n" not in str(found.value)


def test_a_table_that_is_dropped_in_the_middle_is_made_again(shop, tmp_path):
    table = shop.table(tmp_path)

    async def go():
        async with table.sink(shop.env, Point) as sink:
            await sink.push(POINTS)
            shop.query("DROP TABLE @", table)
            await sink.push(POINTS[:1])

    run(go())
    assert shop.query("SELECT count(*) FROM @", table) == [(1,)]


def test_a_wrong_password_is_one_line(shop, tmp_path):
    class Wrong(GivenServices):
        def password(self, store):
            return Secret("a wrong one")

    env = Env(cloud="local", services=Wrong(shop.server))

    async def go():
        async with shop.table(tmp_path).sink(env, Point):
            pass

    with pytest.raises(DeniedError, match="Incorrect username or password") as found:
        run(go())
    assert "\n" not in str(found.value)
    assert "a wrong one" not in str(found.value)


# The client's own thread, which tells the server to give up, finds nobody there.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_goes_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "LOCAL_S", 4)
    monkeypatch.setattr(client, "LOGIN_S", 4)
    server = Served(SNOWFLAKE, tmp_path)
    env = Env(cloud="local", services=GivenServices(server))
    table = SnowflakeTable("t", "Shop", "Raw")

    async def go():
        async with table.sink(env, Point) as sink:
            await sink.push_once(POINTS, PushId("w", 0, len(POINTS)))
            server.kill()
            with pytest.raises(TemporaryError, match="cannot be reached or written for now"):
                await sink.push(POINTS)
            server.start()
            await sink.push_once(POINTS, PushId("w", 0, len(POINTS)))
            await sink.push(POINTS)

    try:
        run(go())
        connection = client.connect(table._account(), env)
        found = connection.cursor().execute('SELECT count(*) FROM "Shop"."Raw"."t"').fetchall()
        connection.close()
        assert found == [(2 * len(POINTS),)]
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):  # the client's; it fails while this test lasts
                thread.join(10)
    finally:
        server.stop()


def key_text(encryption=None):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    ).decode()


def test_keys_are_read_from_files_and_never_shown(tmp_path):
    text = key_text()
    (tmp_path / "key.p8").write_text(text)
    key = read_private_key_file(tmp_path / "key.p8")
    table = SnowflakeTable("t", "d", "s", None, "account", "user", key)
    middle = text.splitlines()[1]
    assert middle not in f"{key}{table!r}{table.primitive_id}"
    whole = der_of(key, "t")
    assert whole == der_of(Secret("".join(text.splitlines()[1:-1])), "t")
    serialization.load_der_private_key(whole, None)


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", key_text(serialization.BestAvailableEncryption(b"x")), key_text()[:200]],
    ids=["empty", "nonsense", "encrypted", "cut"],
)
def test_what_is_no_key_is_refused_without_showing_it(text):
    with pytest.raises(PermanentError, match="no unencrypted key in PEM form") as found:
        der_of(Secret(text), "SnowflakeTable d.s.t")
    assert not text or text not in str(found.value)
    assert found.value.__cause__ is None


def test_a_key_file_that_is_not_there(tmp_path):
    with pytest.raises(DeclarationError, match="cannot be read: No such file"):
        read_private_key_file(tmp_path / "nowhere")


def test_what_is_nothing_is_refused_at_once():
    for words in ({"table": ""}, {"schema": ""}, {"account": 3}, {"private_key": 3}):
        with pytest.raises(DeclarationError):
            SnowflakeTable(**{"table": "t", "database": "d", "schema": "s", **words})


def test_a_missing_client_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DeclarationError, match=r"pip install 'buildflow_nb\[snowflake\]'"):
        SnowflakeTable("t", "d", "s")


@pytest.mark.parametrize(
    ("words", "message"),
    [({}, "give it account="), ({"account": "a", "user": "u"}, "without a private_key")],
)
def test_on_the_real_cloud_it_has_to_be_said_who_writes(words, message):
    async def go():
        async with SnowflakeTable("t", "d", "s", **words).sink(Env(), Point):
            pass

    with pytest.raises(PermanentError, match=message):
        run(go())


def test_nothing_but_the_account_is_dialled(shop, tmp_path):
    dialled = []
    watching = [True]

    def watch(event, arguments):
        if watching and event in ("socket.connect", "socket.getaddrinfo"):
            dialled.append(str(arguments[1] if event == "socket.connect" else arguments[0]))

    sys.addaudithook(watch)  # there is no way to take it off again
    try:
        pushed(shop, shop.table(tmp_path), POINTS)
    finally:
        watching.clear()
    assert dialled
    assert {"127.0.0.1" in one for one in dialled} == {True}, sorted(set(dialled))


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a\\b", "a;b--", "%s", "?", "{x}", "a b", "select"])
def test_names_of_columns_are_taken_as_they_are(shop, tmp_path, name):
    table = shop.table(tmp_path)
    pushed(shop, table, [{"id": 1, name: "v"}], element=None)
    pushed(shop, table, [{"id": 2, name: "w"}], element=None)
    assert shop.query("SELECT * FROM @ ORDER BY 1", table) == [(1, "v"), (2, "w")]


def test_a_field_without_a_name_is_one_line(shop, tmp_path):
    with pytest.raises(PermanentError, match="a field has an empty name") as found:
        pushed(shop, shop.table(tmp_path), [{"": 1}], element=None)
    assert "\n" not in str(found.value)


def test_buildflows_options():
    table = SnowflakeTable("t", "d", "s", "a bucket", "a", "u", "k").options(table_schema=Point)
    assert (table.linger_s, table.table_schema) == (60, Point)
    assert SnowflakeTable("t", "d", "s").linger_s == 5
