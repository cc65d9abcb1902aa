"""Functions and classes of a notebook, called where nothing of the notebook is."""

from __future__ import annotations

import asyncio
import operator
from functools import partial

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.runtime.shipping import CannotShipError, pack, unpack
from tests.fakes import FakeSink, FakeSource
from tests.runtime.shipping.over_there import Again, keep, reader


def test_a_function_with_its_globals_and_helpers(notebook, child):
    cell = notebook("""
        RATE = 3
        def helper(x): return x * RATE
        def price(x): return helper(x) + 1
    """)
    assert child.call(cell.price, 2) == 7
    cell = notebook("RATE = 5")
    assert child.call(cell.price, 2) == 11


def test_a_change_of_a_global_over_there_stays_there(notebook, child):
    cell = notebook("""
        count = 0
        def add():
            global count
            count += 1
            return count
        def seen(): return count
        def both(): return add(), add(), seen()
    """)
    assert child.call(cell.both) == (1, 2, 2)
    assert child.call(cell.both) == (1, 2, 2)
    assert cell.count == 0


def test_closures_lambdas_and_partials(notebook, child):
    cell = notebook("""
        from functools import partial
        def make(n):
            def again(x): return x if x == 0 else n + again(x - 1)
            return again
        three = make(3)
        twice = lambda x, *, by=2: x * by
        added = partial(three, 4)
    """)
    assert child.call(cell.three, 2) == 6
    assert child.call(cell.twice, 4) == 8
    assert child.call(cell.added) == 12


def test_a_class_with_super_setup_and_teardown(notebook, child):
    cell = notebook("""
        class Base:
            def setup(self): self.said = ["base"]
        class Price(Base):
            limit = 10
            def setup(self):
                super().setup()
                self.said.append(__class__.__name__)
            def process(self, x): return self.said + [x, self.limit]
            def teardown(self): self.said.clear()
            @property
            def many(self): return len(self.said)
            @classmethod
            def made(cls): return cls()
            @staticmethod
            def plain(): return 4
        def use(kind):
            one = kind.made()
            one.setup()
            found = one.process(1), one.many, one.plain()
            one.teardown()
            return found, one.said
    """)
    assert child.call(cell.use, cell.Price) == ((["base", "Price", 1, 10], 2, 4), [])


def test_generators_and_async(notebook, child):
    cell = notebook("""
        import asyncio
        def many(n): yield from range(n)
        async def wait(n):
            await asyncio.sleep(0)
            return n
        async def stream(n):
            for i in range(n):
                yield await wait(i)
        def use():
            async def main(): return [x async for x in stream(3)]
            return list(many(2)), asyncio.run(wait(5)), asyncio.run(main())
    """)
    assert child.call(cell.use) == ([0, 1], 5, [0, 1, 2])


def test_decorators_of_the_standard_library(notebook, child):
    cell = notebook("""
        import functools, contextlib
        @functools.lru_cache(maxsize=7)
        def slow(x): return x + 1
        class Holds:
            @functools.cached_property
            def big(self): return [1]
            @functools.cache
            def kept(self): return 2
        @contextlib.contextmanager
        def opened(x):
            yield x
        @functools.singledispatch
        def kind(x): return "any"
        @kind.register
        def _(x: int): return "int"
        kind("fills its cache")
        def kinds(): return kind(1), kind("a")
        def logged(function):
            @functools.wraps(function)
            def call(*args): return "logged", function(*args)
            return call
        @logged
        def plain(x): return x
        def use():
            held = Holds()
            with opened(3) as three:
                pass
            held.big.append(2)
            return slow(1), slow.cache_parameters(), held.big, held.kept(), three, plain(4)
    """)
    assert child.call(cell.kinds) == ("int", "any")
    expected = (2, {"maxsize": 7, "typed": False}, [1, 2], 2, 3, ("logged", 4))
    assert child.call(cell.use) == expected


def test_a_sentinel_is_itself_each_time(notebook, child):
    cell = notebook("""
        MISSING = object()
        def is_missing(x=MISSING): return x is MISSING
        def give(): return MISSING
    """)
    assert child.call(cell.is_missing) is True
    assert child.call(cell.is_missing, cell.MISSING) is True
    assert child.call(cell.give) is cell.MISSING


def test_types_that_a_cell_names(notebook, child):
    cell = notebook("""
        from typing import NewType, TypeVar, ParamSpec, TypeVarTuple, Generic, Callable
        UserId = NewType("UserId", int)
        T = TypeVar("T", bound=int)
        P = ParamSpec("P")
        Ts = TypeVarTuple("Ts")
        class Box(Generic[T]):
            def __init__(self, x: T) -> None: self.x = x
        def use(box: Box[int], call: Callable[P, T]) -> UserId: return UserId(box.x)
        def types(): return UserId, T, P, Ts, Box[int], use.__annotations__
    """)
    assert child.call(cell.use, cell.Box(4), None) == 4
    *found, box, hints = child.call(cell.types)
    assert all(a is b for a, b in zip(found, (cell.UserId, cell.T, cell.P, cell.Ts), strict=True))
    assert box == cell.Box[int]
    assert hints == cell.use.__annotations__


def test_annotations_that_are_text_name_what_they_named(notebook, child):
    cell = notebook("""
        from __future__ import annotations
        import dataclasses
        from typing import NamedTuple, TypedDict, get_type_hints, ClassVar, Literal
        import msgspec
        @dataclasses.dataclass
        class Line:
            sku: str
            up: Line | None = None
            kinds: ClassVar[int] = 0
        @dataclasses.dataclass
        class Order:
            lines: list[Line]
            state: Literal["open", "Line"] = "open"
        class Pair(NamedTuple):
            line: Line
        class Fields(TypedDict):
            line: Line
        class Struct(msgspec.Struct):
            line: Line
            up: Struct | None = None
        def use(order: Order) -> Line: return order.lines[0]
        def hints():
            return [get_type_hints(x) for x in (Order, Line, Pair, Fields, Struct, use)]
        def read(text): return msgspec.json.decode(text, type=Struct), msgspec.convert(
            {"lines": [{"sku": "a"}]}, Order)
    """)
    import typing

    here = [typing.get_type_hints(getattr(cell, n)) for n in
            ("Order", "Line", "Pair", "Fields", "Struct", "use")]  # fmt: skip
    assert child.call(cell.hints) == here
    struct, order = child.call(cell.read, b'{"line": {"sku": "b"}, "up": {"line": {"sku": "c"}}}')
    assert struct == cell.Struct(cell.Line("b"), cell.Struct(cell.Line("c")))
    assert order == cell.Order([cell.Line("a")])


def test_what_msgspec_has_converted_before_goes(notebook, child):
    cell = notebook("""
        import msgspec
        from dataclasses import dataclass
        from typing import TypedDict, NamedTuple
        @dataclass
        class A: a: int
        class B(TypedDict): a: int
        class C(NamedTuple): a: int
        class D(msgspec.Struct): a: int
        def use(): return [msgspec.convert({"a": 1}, k) for k in (A, B, D)] + [
            msgspec.convert([1], C)]
    """)
    here = cell.use()
    assert child.call(cell.use) == here


def test_display_prints_the_text_form(notebook, child, monkeypatch):
    import builtins

    from IPython.display import display

    monkeypatch.setattr(builtins, "display", display, raising=False)
    cell = notebook("""
        from IPython.display import display as shown
        def look(x):
            display(x, [x])
            (lambda: display("in a lambda"))()
        def look_too(x): shown({"a": x})
    """)
    child.call(cell.look, 5)
    assert child.printed == "5\n[5]\nin a lambda\n"
    child.call(cell.look_too, 1)
    assert child.printed == "{'a': 1}\n"


def test_what_is_printed_to_the_streams_of_there(notebook, child):
    cell = notebook("""
        import os, random
        from sys import stdout
        from os import environ
        HERE = os.environ
        def say():
            print("x", file=stdout)
            return HERE is os.environ, os.environ.get("TOLD_HERE_ALONE"), random.random() < 1
    """)
    assert child.call(cell.say) == (True, None, True)


def test_in_one_process_it_is_the_same(notebook):
    cell = notebook("""
        import asyncio
        async def wait(x): return x
    """)
    assert asyncio.run(unpack(pack(cell.wait))(3)) == 3
    with pytest.raises(TypeError):
        asyncio.run(unpack(pack(cell.wait))())


def test_an_element_that_comes_later_changes_nothing_of_the_code(notebook, child):
    cell = notebook("""
        seen, rate = [], 1
        class Order:
            def told(self): return len(seen), rate
        def use(order: Order):
            seen.append(1)
            return order.told()
    """)
    child.call(partial(keep, use=cell.use))
    assert child.call(Again("use"), cell.Order()) == (1, 1)
    notebook("rate = 2")
    assert child.call(Again("use"), cell.Order()) == (2, 1)
    child.call(partial(keep, use=cell.use))
    assert child.call(Again("use"), cell.Order()) == (1, 2)


def test_a_spec_brings_what_came_before_up_to_date(notebook, child):
    cell = notebook("""
        rate = 1
        class Order:
            def told(self): return rate
        def use(order: Order, *_): return order.told()
    """)
    child.call(partial(keep, use=cell.use))
    notebook("rate = 2")
    spec = consumer_spec(cell.use, FakeSource([]), FakeSink(), {})
    assert child.call(Again("use"), cell.Order(), spec) == 2


def test_a_function_that_was_made_in_an_installed_module_has_its_globals(child):
    child.call(partial(keep, told="over there"))
    keep(told="here")
    assert child.call(reader("told")) == "over there"


def test_a_class_that_comes_with_an_element_first_is_whole(notebook, child):
    cell = notebook("""
        class Order:
            def told(self): return "told"
    """)
    child.call(partial(keep, told=operator.methodcaller("told")))
    assert child.call(Again("told"), cell.Order()) == "told"


def test_a_cell_that_runs_meanwhile_is_waited_for(notebook, monkeypatch):
    from buildflow_nb.runtime.shipping import packing

    cell = notebook("""
        rates = {"a": 1}
        class Changes:
            left = 2
            def __reduce__(self):
                if Changes.left:
                    Changes.left -= 1
                    rates[f"more {len(rates)}"] = 1
                return int, ()
        rates["b"] = Changes()
        rates |= {str(i): i for i in range(2000)}
        def price(): return rates
    """)
    assert len(unpack(pack(cell.price))()) == 2004
    monkeypatch.setattr(packing, "_TRIES", 1)
    cell.Changes.left = 2
    with pytest.raises(CannotShipError, match=r"^'price'.* cannot be sent"):
        pack(cell.price)


def test_what_is_unpacked_by_several_threads_at_once_is_whole_for_each(notebook, child):
    cell = notebook("""
        class Order:
            def told(self): return "told"
        def race(data):
            from concurrent.futures import ThreadPoolExecutor
            from buildflow_nb.runtime.shipping import unpack
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda _: unpack(data).told(), range(200)))
                return set(found)
    """)
    race = cell.race
    assert child.call(race, pack(cell.Order())) == {"told"}
