"""Code of a consumer: its forms, its types, its hooks, its replicas, and how it is swapped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.primitive import Malformed, Wire
from buildflow_nb.core.status.snapshot import State
from tests.fakes import FakeSink, FakeSource
from tests.runtime.conftest import Bench, run_to_end


def same(x: int) -> int:
    return x


def test_none_drops_lists_and_generators_give_many_and_tuples_with_names_stay_whole():
    from collections import namedtuple

    point = namedtuple("point", "x y")

    async def fan(x: int):
        return {0: None, 1: [1, 1], 2: (n for n in (2, 2, 2)), 3: 3, 4: point(4, 4), 5: []}[x]

    sink = FakeSink()
    source = FakeSource([[0, 1, 2, 3, 4, 5]])
    bench = run_to_end(fan, source, sink)
    assert sink.tape.pushed == [1, 1, 2, 2, 2, 3, point(4, 4)]
    assert sorted(source.tape.acked) == [0, 1, 2, 3, 4, 5]
    assert bench.consumer.snapshot().dropped == 2


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_generators_give_many_and_fail_alone(kind):
    def twice(x: int):
        yield x
        if x == 2:
            msg = "half way"
            raise ValueError(msg)
        yield x

    async def twice_async(x: int):
        for y in twice(x):
            yield y

    sink = FakeSink()
    code = twice if kind == "sync" else twice_async
    bench = run_to_end(code, FakeSource([[1, 2, 3]]), sink, retries=0)
    assert sink.tape.pushed == [1, 1, 3, 3]
    assert bench.ledger.failures[0].error == "ValueError: half way"


@dataclass
class Priced:
    name: str
    price: float


def test_a_wrong_type_returned_fails_that_element_with_both_names():
    async def price(x: int) -> Priced:
        return Priced("a", 1.0) if x != 2 else 7  # type: ignore[return-value]

    sink = FakeSink(sink_wire=Wire.RECORD)
    bench = run_to_end(price, FakeSource([[1, 2, 3]]), sink)
    assert sink.tape.pushed == [{"name": "a", "price": 1.0}] * 2
    (failure,) = bench.ledger.failures
    assert failure.error == "ConversionError: consumer 'price' returned int, not Priced"
    assert failure.tries == 1


def test_elements_that_cannot_be_converted_fail_alone_without_a_retry():
    calls: list[object] = []

    def take(p: Priced) -> Priced:
        calls.append(p)
        return p

    good = '{"name": "a", "price": 2}'
    source = FakeSource(
        [[good, "not json", '{"name": 3, "price": 1}', good]], source_wire=Wire.TEXT
    )
    sink = FakeSink()
    bench = run_to_end(take, source, sink)
    assert sink.tape.pushed == [Priced("a", 2.0)] * 2
    assert len(calls) == 2
    errors = [failure.error for failure in bench.ledger.failures]
    assert errors[0].startswith("ConversionError: JSON is malformed") or "malformed" in errors[0]
    assert errors[1] == "ConversionError: name: expected str, got int"


def test_malformed_elements_of_a_source_fail_with_its_reason():
    source = FakeSource([[1, Malformed("x,y", "3 columns, not 2"), 3]])
    sink = FakeSink()
    bench = run_to_end(same, source, sink)
    assert sink.tape.pushed == [1, 3]
    assert bench.ledger.failures[0].error == "ConversionError: 3 columns, not 2"


def test_hooks_of_a_class_are_really_called():
    happened: list[str] = []

    class Counter:
        async def setup(self) -> None:
            self.count = 0
            happened.append("setup")

        def process(self, x: int) -> int:
            self.count += x
            return self.count

        def teardown(self) -> None:
            happened.append(f"teardown at {self.count}")

    sink = FakeSink()
    run_to_end(Counter, FakeSource([[1, 2], [3]]), sink)
    assert sink.tape.pushed == [1, 3, 6]
    assert happened == ["setup", "teardown at 6"]


def test_replicas_have_an_instance_each():
    made: list[object] = []

    class Each:
        def setup(self) -> None:
            made.append(self)

        async def process(self, x: int) -> int:
            return x

    sink = FakeSink()
    run_to_end(Each, FakeSource([[1], [2], [3]]), sink, num_replicas=3, num_concurrency=2)
    assert len(set(map(id, made))) == 3
    assert sorted(sink.tape.pushed) == [1, 2, 3]


def test_num_concurrency_is_how_many_elements_are_in_flight():
    running, most = 0, 0

    async def main() -> None:
        gate = asyncio.Event()

        async def slow(x: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if most == 4:
                gate.set()
            await gate.wait()
            running -= 1
            return x

        bench = Bench(slow, FakeSource([list(range(20))]), FakeSink(), num_concurrency=4)
        await bench.to_end()
        assert sorted(bench.sink.tape.pushed) == list(range(20))

    asyncio.run(main())
    assert most == 4


def test_two_hundred_swaps_under_load_lose_nothing_and_run_nothing_twice():
    async def main() -> None:
        enough = False
        source, sink = FakeSource([]), FakeSink()
        source.batches = _Counting(lambda: enough)

        def version(n: int):
            async def code(x: int) -> list:
                if x % 10 == 0:
                    await asyncio.sleep(0)
                return [(x, n)]

            return code

        bench = Bench(version(0), source, sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        for n in range(1, 201):
            assert await bench.consumer.swap(consumer_spec(version(n), source, sink, {}))
            await bench.until(lambda n=n: sink.tape.pushed and sink.tape.pushed[-1][1] == n)
        enough = True
        await bench.until(lambda: bench.state is State.DONE)
        assert [x for x, _ in sink.tape.pushed] == list(range(source.tape.pulled))
        assert sorted({n for _, n in sink.tape.pushed} - {0}) == list(range(1, 201))
        assert source.tape.opened == sink.tape.opened == 1
        assert bench.ledger.version == 201

    asyncio.run(main())


class _Counting:
    """Batches of seven numbers, until told that it is enough."""

    def __init__(self, enough) -> None:
        self._enough = enough
        self._next = 0

    def __iter__(self):
        return self

    def __next__(self) -> list[int]:
        if self._enough():
            raise StopIteration
        self._next += 7
        return list(range(self._next - 7, self._next))


def test_a_swap_whose_setup_fails_leaves_the_old_code_running():
    class Broken:
        def setup(self) -> None:
            msg = "no model file"
            raise OSError(msg)

        def process(self, x: int) -> int:
            return -x

    async def main() -> None:
        source, sink = FakeSource([[1]], endless=True), FakeSink()
        bench = Bench(same, source, sink)
        await bench.consumer.start()
        await bench.until(lambda: sink.tape.pushed == [1])
        with pytest.raises(OSError, match="no model file"):
            await bench.consumer.swap(consumer_spec(Broken, source, sink, {}))
        assert bench.state is State.RUNNING
        assert await bench.consumer.send(5) == [5]
        await bench.stop()

    asyncio.run(main())


def test_send_converts_plain_values_and_writes_nothing():
    async def main() -> None:
        def name(p: Priced) -> str:
            return p.name

        source, sink = FakeSource([], endless=True), FakeSink()
        bench = Bench(name, source, sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        assert await bench.consumer.send({"name": "tea", "price": 1}) == ["tea"]
        assert await bench.consumer.send(Priced("milk", 2.0)) == ["milk"]
        assert await bench.consumer.send('{"name": "egg", "price": 1}') == ["egg"]
        assert sink.tape.pushed == []
        await bench.stop()

    asyncio.run(main())


def test_peek_keeps_the_last_elements_with_their_results(batches):
    bench = run_to_end(same, FakeSource(batches), FakeSink())
    passed = list(bench.ledger.passages)
    assert [p.element for p in passed] == list(range(80, 100))
    assert passed[-1].results == (99,)


def test_what_a_processor_prints_and_logs_can_be_kept_from_the_output(capsys):
    import logging

    from buildflow_nb.runtime.observability.logs import captured

    def chatty(x: int) -> int:
        print("got", x)  # noqa: T201
        logging.getLogger("mine").warning("odd %d", x)
        return x

    with captured():
        bench = run_to_end(chatty, FakeSource([[1]]), FakeSink())
        print("outside")  # noqa: T201
    texts = [(line.level, line.text) for line in bench.ledger.log.lines()]
    assert texts == [("PRINT", "got 1"), ("WARNING", "odd 1")]
    assert capsys.readouterr().out == "outside\n"
