"""The resources of a flow: named, looked into, fetched, sent to, redriven, purged."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import AbsentError, RejectedError, UsageError
from buildflow_nb.core.primitive import Batch, Wire
from buildflow_nb.core.resource_look import Column, Content, Figure, Held, ResourceLook, Standing
from buildflow_nb.flow.resource_asking import purged
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from buildflow_nb.io.looks import message_content, seen

STORES: dict[str, list[bytes]] = {}


@dataclass(frozen=True)
class Tray:
    """A queue in memory; what is received is out until it is settled."""

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.BYTES
    sink_wire: ClassVar[Wire] = Wire.BYTES
    max_pullers: ClassVar[int] = 1
    max_push: ClassVar[int] = 100
    linger_s: ClassVar[float] = 0.0

    name: str
    fault: Any = field(default=None, compare=False)

    @property
    def primitive_id(self):
        return self.name

    @property
    def store(self):
        return STORES.setdefault(self.name, [])

    async def look(self, env, asked):
        async def look(empty):
            if isinstance(self.fault, Exception):
                raise self.fault
            if self.fault is not None:
                await self.fault()
            content = message_content([({}, body) for body in self.store[: asked.rows]])
            held = Held("messages", len(self.store))
            figures = (Figure("waiting", len(self.store)),)
            return replace(empty, figures=figures, contents=(content,), held=held)

        return await seen(self, "tray", look, within_s=asked.within_s)

    async def purge(self, env):
        self.store.clear()

    @asynccontextmanager
    async def source(self, env):
        tray = self

        class Source:
            out: ClassVar[list[bytes]] = []

            async def pull(self):
                taken = tray.store[:2]
                del tray.store[:2]
                self.out += taken
                return Batch(taken, list(taken))

            async def settle(self, receipts, *, ok):
                for one in receipts:
                    self.out.remove(one)
                    if not ok:
                        tray.store.append(one)

            async def backlog(self):
                return len(tray.store)

        yield Source()

    @asynccontextmanager
    async def sink(self, env, element):
        tray = self

        class Sink:
            async def push(self, items):
                tray.store.extend(items)

        yield Sink()


@dataclass
class Order:
    id: int
    card: Secret | None = None


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    STORES.clear()


@pytest.fixture
def app():
    flow = Flow("shop")

    @flow.consumer(Tray("orders"), File("out.csv"), dead_letter=Tray("orders-dead"))
    def price(order: Order) -> dict:
        return {}

    return flow


def letter(element, processor="price"):
    return json.dumps(
        {
            "processor_id": processor,
            "element": json.dumps(element) if not isinstance(element, str) else element,
            "error": "KeyError: 'usd'",
            "traceback": "…",
            "tries": 3,
            "origin": "",
            "at": "2026-11-30T14:04:04+00:00",
        }
    ).encode()


def test_a_resource_goes_by_its_primitive_id_class_and_short_name(app):
    for named in (Tray("orders"), "orders", "Tray orders", "Tray:orders"):
        assert app.resource(named).key == "Tray orders"
    assert app.resource("out.csv").key.startswith("File ")


def test_a_name_of_none_or_of_several_is_refused_with_the_nearest(app):
    with pytest.raises(UsageError, match="did you mean 'orders'"):
        app.resource("ordres")

    @app.consumer(DuckDBTable("a.duckdb", "t"))
    def one(x): ...

    @app.consumer(DuckDBTable("b.duckdb", "t"))
    def two(x): ...

    with pytest.raises(UsageError, match="is the name of several"):
        app.resource("t")
    assert {one.name for one in app.resources()} >= {"orders", "orders-dead", "out.csv"}


def test_a_look_says_what_the_flow_does_with_it_and_what_can_be_done(app):
    STORES["orders-dead"] = [letter({"id": 1})]
    look = app.resource("orders-dead").look()
    assert look.roles == ("dead letters of price",)
    lines = {action.label: action.line for action in look.actions}
    assert lines["Redrive 1 to orders…"] == "%buildflow redrive orders-dead"
    assert lines["Purge 1…"] == "%buildflow purge orders-dead"
    assert [action.label for action in look.actions if action.asks] == [
        label for label in lines if label.endswith("…")
    ]


class Stamped(Tray):
    """A queue that knows something of its messages."""

    async def look(self, env, asked):
        known = {"sent": "14:04", "receives": 3}
        content = message_content([(known, body) for body in self.store])
        return ResourceLook("k", "tray", self.name, contents=(content,))


def test_a_field_of_a_message_does_not_replace_what_the_queue_knows(app):
    STORES["x"] = [b'{"sent": "never", "receives": 0, "id": 1}']
    (row,) = app.resource(Stamped("x")).rows()
    assert row == {"sent": "14:04", "receives": 3, "sent_2": "never", "receives_2": 0, "id": 1}


def test_columns_of_one_name_are_all_there(app):
    class Doubled(Tray):
        async def look(self, env, asked):
            columns = tuple(map(Column, ("a", "a", "a_2", "b", "a")))
            content = Content("Rows", columns, ((1, 2, 3, 4, 5),))
            return ResourceLook("k", "tray", self.name, contents=(content,))

    (row,) = app.resource(Doubled("x")).rows()
    assert row == {"a": 1, "a_3": 2, "a_2": 3, "b": 4, "a_4": 5}


def test_secrets_are_masked_in_messages_and_in_dead_letters(app):
    STORES["orders"] = [b'{"id": 1, "card": "4111"}', b"4111 in no shape"]
    STORES["orders-dead"] = [letter({"id": 2, "card": "4111"}), letter("4111 {")]
    for name in ("orders", "orders-dead"):
        look = app.resource(name).look()
        assert "4111" not in repr(look)
        assert "****" in repr(look)


def test_dead_letters_are_shown_as_their_elements(app):
    STORES["orders-dead"] = [letter({"id": 88123, "item": "Lemon"})]
    (row,) = app.resource("orders-dead").rows()
    assert row == {"id": 88123, "item": "Lemon", "why it is here": "KeyError: 'usd'", "tries": 3}


@pytest.mark.parametrize(
    ("fault", "standing", "said"),
    [
        (AbsentError("tray 'x' does not exist (run %buildflow apply)"), Standing.ABSENT, "exist"),
        (OSError("no route"), Standing.UNREACHED, "no route"),
        (ValueError("odd"), Standing.UNREACHED, "its look failed: ValueError: odd"),
        (lambda: asyncio.sleep(60), Standing.UNREACHED, "no answer within 0.2 s"),
    ],
)
def test_what_is_wrong_is_told_by_the_look(app, fault, standing, said):
    look = app.resource(Tray("x", fault)).look(timeout=0.2)
    assert look.standing is standing
    assert said in look.said
    with pytest.raises(UsageError, match="Tray x"):
        app.resource(Tray("x", fault)).rows(timeout=0.2)


def test_a_local_cloud_that_does_not_run_is_left_alone(app):
    from buildflow_nb.io.aws import SQSQueue

    app.manage(SQSQueue("jobs"))
    look = app.resource("jobs").look()
    assert look.standing is Standing.ASLEEP
    assert look.cure == "%buildflow cloud start"
    assert not (app.config.folder / ".buildflow" / "cloud").exists()
    with pytest.raises(UsageError, match="does not run"):
        app.resource("jobs").send({})


def test_rows_are_a_number_within_bounds(app):
    for rows in (-1, 100_001, "5"):
        with pytest.raises(UsageError, match="rows must be from 0"):
            app.resource("orders").look(rows=rows)


def test_messages_are_sent_as_they_are_or_as_json(app):
    for element in ({"id": 1}, "text", b"\xff"):
        app.resource("orders").send(element)
    assert STORES["orders"] == [b'{"id":1}', b"text", b"\xff"]
    with pytest.raises(UsageError, match="takes no messages"):
        app.resource("out.csv").send({})


def test_dead_letters_go_back_to_the_source_of_their_processor(app):
    STORES["orders-dead"] = [letter({"id": 1}), letter({"id": 2}), letter({"id": 3})]
    done = app.resource("orders-dead").redrive()
    assert str(done) == "redriven: 3 to orders"
    assert [json.loads(one) for one in STORES["orders"]] == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert STORES["orders-dead"] == []


def test_of_many_letters_so_many_go_back(app):
    STORES["orders-dead"] = [letter({"id": i}) for i in range(5)]
    assert app.resource("orders-dead").redrive(most=3).count == 3
    assert len(STORES["orders"]) == 3
    assert len(STORES["orders-dead"]) == 2


def test_what_is_no_letter_or_has_no_way_back_stays(app):
    STORES["orders-dead"] = [b"of somebody else", letter({"id": 1}), letter({}, "gone")]
    done = app.resource("orders-dead").redrive()
    assert done.count == 1
    assert sorted(done.left.values()) == [1, 1]
    assert "--to" in str(done)
    assert len(STORES["orders-dead"]) == 2


def test_letters_of_others_go_where_they_are_told_to(app):
    STORES["orders-dead"] = [b"raw", letter({"id": 1})]
    assert app.resource("orders-dead").redrive(to="orders").count == 2
    assert STORES["orders"] == [b"raw", b'{"id": 1}']
    with pytest.raises(UsageError, match="is no processor's dead letters"):
        app.resource("orders").redrive()


def test_a_sink_that_fails_loses_no_letter(app, monkeypatch):
    STORES["orders-dead"] = [letter({"id": 1}), letter({"id": 2})]

    @asynccontextmanager
    async def broken(self, env, element):
        class Sink:
            async def push(self, items):
                msg = "full"
                raise OSError(msg)

        yield Sink()

    monkeypatch.setattr(Tray, "sink", broken)
    with pytest.raises(OSError, match="full"):
        app.resource("orders-dead").redrive()
    assert len(STORES["orders-dead"]) == 2


def test_a_purge_wants_the_name_and_says_the_count(app):
    STORES["orders"] = [b"1", b"2"]
    resource = app.resource("orders")
    with pytest.raises(UsageError, match="would delete 2 messages"):
        resource.purge("order")
    assert len(STORES["orders"]) == 2
    assert resource.purge("orders") == 2
    assert STORES["orders"] == []
    with pytest.raises(UsageError, match="is no queue"):
        app.resource("out.csv").purge("out.csv")


def test_a_purge_of_what_cannot_be_counted_is_refused(app):
    gone = Tray("x", AbsentError("tray 'x' does not exist"))
    STORES["x"] = [b"1"]
    with pytest.raises(UsageError, match="does not exist"):
        app.resource(gone).purge("x")
    assert STORES["x"] == [b"1"]


def test_a_line_asks_for_the_name(app):
    STORES["orders"] = [b"1", b"2"]
    asked = []

    def read(text, said="orders"):
        asked.append(text)
        return said

    with pytest.raises(RejectedError, match="nothing was deleted"):
        purged(app.resource("orders"), None, lambda text: read(text, "yes"))
    assert "Delete 2 messages of Tray orders?" in asked[0]
    assert purged(app.resource("orders"), None, read) == "purged Tray orders: 2 messages deleted"
    assert purged(app.resource("orders"), None, read) == "Tray orders is empty"


class Box(Tray):
    """A bucket with one object."""

    async def look(self, env, asked):
        return ResourceLook("Box b", "box", "b")

    async def download(self, env, key, take):
        for piece in (b"one", b"two"):
            await asyncio.to_thread(take, piece)
        if key == "broken":
            msg = "it went away"
            raise AbsentError(msg)


def test_an_object_is_downloaded_for_nobody_else_and_over_nothing(app, tmp_path):
    box = app.resource(Box("b"))
    path = box.download("a/x.txt")
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there"):
        box.download("a/x.txt")
    assert path.read_text() == "mine"
    box.download("a/x.txt", overwrite=True)
    assert path.read_bytes() == b"onetwo"
    with pytest.raises(UsageError, match="went away"):
        box.download("broken", tmp_path / "y")
    with pytest.raises(UsageError, match="cannot be written"):
        box.download("a/x.txt", tmp_path / "none" / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_rows_are_a_dataframe(app):
    STORES["orders"] = [b'{"id": 1}', b'{"id": 2}']
    assert list(app.resource("orders").dataframe()["id"]) == [1, 2]


def test_a_stream_is_looked_into_by_what_it_reads_from(app):
    from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream

    app.manage(S3FileChangeStream(S3Bucket("inbox")))
    look = app.resource("S3FileChangeStream inbox:inbox_queue").look()
    assert look.standing is Standing.ASLEEP  # it asks for the local cloud, as its queue does


def test_what_holds_nothing_says_so(app):
    from buildflow_nb.io.local import Pulse

    @app.consumer(Pulse([{}], 1))
    def tick(row: dict): ...

    look = app.resource("Pulse:" + app.processors["tick"].source.primitive_id).look()
    assert "nothing in it to look into" in look.said
