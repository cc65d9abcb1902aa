"""Swaps under load: every element is processed exactly once, by one version, and none is lost."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from buildflow_nb.core.primitive import Batch, Env, Wire
from buildflow_nb.core.status.snapshot import State
from tests.fakes import PATIENCE_S

SWAPS = 200
GRANT = 400  # elements a swap
BATCH = 16


@dataclass(eq=False)
class Counting:
    """A source of 0, 1, 2, … as far as it was allowed to; its cursor outlives its connections."""

    primitive_id: str = "counting"
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1
    allowed: int = 0
    given: int = 0
    over: bool = False
    settled: Counter = field(default_factory=Counter)
    given_back: list = field(default_factory=list)
    opened: int = 0
    _more: tuple | None = None

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[Counting]:
        self.opened += 1
        self._more = (asyncio.get_running_loop(), asyncio.Event())
        yield self

    def allow(self, count: int = GRANT, *, last: bool = False) -> None:
        self.allowed += count
        self.over = last
        if self._more is not None:
            loop, event = self._more
            loop.call_soon_threadsafe(event.set)

    async def pull(self) -> Batch | None:
        while self.given >= self.allowed:
            if self.over:
                return None
            event = self._more[1]
            event.clear()
            if self.given < self.allowed or self.over:
                continue
            await event.wait()
        start, self.given = self.given, min(self.given + BATCH, self.allowed)
        items = list(range(start, self.given))
        return Batch(items, receipts=items)

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        if ok:
            self.settled.update(receipts)
        else:
            self.given_back += receipts

    async def backlog(self) -> int | None:
        return None


@dataclass(eq=False)
class Watched:
    """A sink that can be waited for."""

    primitive_id: str = "watched"
    sink_wire: Wire = Wire.OBJECT
    max_push: int = 64
    linger_s: float = 0.0
    stored: list = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[Watched]:
        yield self

    async def push(self, items: Sequence[object]) -> None:
        with self.changed:
            self.stored += items
            self.changed.notify_all()

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.stored) >= count, PATIENCE_S), (
                f"{len(self.stored)} of {count} are there"
            )


class Book:
    """What the code did, version by version."""

    def __init__(self) -> None:
        self.calls: Counter = Counter()
        self.set_up: list[int] = []
        self.torn_down: list[int] = []


def version_of(form: str, version: int, book: Book):
    """The processor `tag` in one of its versions."""

    def tag(x: int) -> tuple:
        book.calls[x] += 1
        return [(x, version)]

    async def tag_async(x: int) -> tuple:
        book.calls[x] += 1
        if x % 7 == 0:
            await asyncio.sleep(0)
        return [(x, version)]

    class Tag:
        def setup(self) -> None:
            book.set_up.append(version)
            self.version = version

        def process(self, x: int) -> tuple:
            assert version not in book.torn_down, "an element after the teardown"
            book.calls[x] += 1
            return [(x, self.version)]

        def teardown(self) -> None:
            book.torn_down.append(version)

    made = {"sync": tag, "async": tag_async, "class": Tag}[form]
    made.__name__ = "tag"
    return made


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("sync", {}),
        ("async", {}),
        ("class", {}),
        ("class", {"num_concurrency": 3}),
        ("sync", {"num_replicas": 2, "num_concurrency": 2}),
    ],
    ids=str,
)
def test_two_hundred_swaps_lose_and_repeat_nothing(app, form, options):
    source, sink, book = Counting(), Watched(), Book()

    def declare(version: int) -> None:
        app.consumer(source=source, sink=sink, **options)(version_of(form, version, book))

    declare(0)
    app.run(block=False)
    source.allow()
    for version in range(1, SWAPS + 1):
        sink.wait(source.allowed - GRANT + 1)  # in the middle of what is allowed
        source.allow()
        declare(version)
    source.allow(last=True)
    handle = app.handle
    assert handle.wait(timeout=PATIENCE_S) is State.DONE
    total = source.allowed
    seen = Counter(x for x, _ in sink.stored)
    assert len(seen) == total == source.given
    assert set(seen) == set(range(total))
    assert set(seen.values()) == {1}
    assert set(book.calls.values()) == {1}
    assert len(book.calls) == total
    assert set(source.settled.values()) == {1}
    assert len(source.settled) == total
    assert source.given_back == []
    assert source.opened == 1
    versions = [v for _, v in sink.stored]
    assert len(set(versions)) > SWAPS // 2  # they did swap while there was work
    if not options:
        assert [x for x, _ in sink.stored] == list(range(total))
        assert versions == sorted(versions)  # nothing goes back to older code
    p = handle.snapshot().processor("tag")
    assert (p.elements_in, p.elements_out, p.failed, p.dropped) == (total, total, 0, 0)
    assert p.version == SWAPS + 1
    if form == "class":
        replicas = options.get("num_replicas", 1)
        assert Counter(book.set_up) == Counter(dict.fromkeys(range(SWAPS + 1), replicas))
        assert sorted(book.torn_down) == sorted(book.set_up)


class Crowd:
    """Clients that ask without a pause, and note what version answered, and which was due."""

    def __init__(self, host: str, size: int) -> None:
        self.host, self.size = host, size
        self.asked = threading.Semaphore(0)
        self.least = 0
        self.answers: list[list[tuple[int, int, int, int]]] = [[] for _ in range(size)]
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(own,)) for own in self.answers]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _ask(self, own: list) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_S)
        n = 0
        while not self._enough.is_set():
            n += 1
            least = self.least
            connection.request("GET", f"/ask?n={n}")
            response = connection.getresponse()
            body = response.read()
            found = json.loads(body) if response.status == 200 else {"n": n, "version": -1}
            own.append((response.status, found["n"] - n, found["version"], least))
            self.asked.release()
        connection.close()


@pytest.mark.parametrize("form", ["def", "async def"])
def test_a_route_answers_every_request_while_it_is_swapped(app, form):
    calls: Counter = Counter()
    lock = threading.Lock()

    def declare(version: int) -> None:
        def ask(n: int) -> dict:
            with lock:
                calls[version] += 1
            return {"n": n, "version": version}

        async def ask_async(n: int) -> dict:
            await asyncio.sleep(0)
            return ask(n)

        made = ask if form == "def" else ask_async
        made.__name__ = "ask"
        app.endpoint(route="/ask", method="GET")(made)

    declare(0)
    host = app.run(block=False, serve_port=0).address.removeprefix("http://")
    crowd = Crowd(host, 6)
    crowd.start()
    for version in range(1, SWAPS // 2 + 1):
        for _ in range(crowd.size):
            assert crowd.asked.acquire(timeout=PATIENCE_S)
        declare(version)
        crowd.least = version  # from now on nobody may meet older code
    crowd.end()
    answers = crowd.answers
    flat = [answer for mine in answers for answer in mine]
    assert {status for status, *_ in flat} == {200}
    assert {off for _, off, *_ in flat} == {0}
    assert all(version >= least for *_, version, least in flat)
    assert Counter(version for *_, version, _ in flat) == calls
    assert len(calls) > SWAPS // 4
    for mine in answers:
        versions = [version for *_, version, _ in mine]
        assert versions == sorted(versions)
    p = app.snapshot().processor("ask")
    assert (p.elements_in, p.elements_out, p.failed) == (len(flat), len(flat), 0)


def test_a_renamed_processor_takes_the_place_of_the_old_one(app):
    source, sink, book = Counting(), Watched(), Book()

    def declare(name: str, version: int) -> None:
        made = version_of("sync", version, book)
        made.__name__ = name
        app.consumer(source=source, sink=sink)(made)

    declare("name0", 0)
    app.run(block=False)
    source.allow()
    for version in range(1, 21):
        sink.wait(source.allowed - GRANT + 1)
        source.allow()
        app.registry.hold()  # as a cell does that is run again with another name in it
        app.registry.remove(f"name{version - 1}")
        declare(f"name{version}", version)
        app.registry.release()
        assert [p.processor_id for p in app.snapshot().processors] == [f"name{version}"]
    source.allow(last=True)
    assert app.handle.wait(timeout=PATIENCE_S) is State.DONE
    assert Counter(x for x, _ in sink.stored) == Counter(range(source.allowed))
    assert set(book.calls.values()) == {1}
    assert len(source.settled) == source.allowed
    assert source.given_back == []


def test_removing_a_running_processor_drains_it(app):
    source, sink, book = Counting(), Watched(), Book()
    app.consumer(source=source, sink=sink)(version_of("class", 0, book))
    app.consumer(source=Counting(primitive_id="other"))(lambda_named("other"))
    app.run(block=False)
    source.allow(50_000)
    sink.wait(1_000)
    app.remove("tag")
    assert len(sink.stored) == source.given  # all that was pulled is there when it returns
    assert Counter(x for x, _ in sink.stored) == Counter(range(source.given))
    assert len(source.settled) == source.given
    assert source.given < source.allowed
    assert book.torn_down == [0]
    assert [p.processor_id for p in app.snapshot().processors] == ["other"]


def lambda_named(name: str):
    def code(x: int) -> int:
        return x

    code.__name__ = name
    return code
