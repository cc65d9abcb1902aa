"""Types of a notebook: themselves over there, and themselves when their instances come back."""

from __future__ import annotations

import pytest

from buildflow_nb.runtime.shipping import pack, pack_shown, unpack
from tests.runtime.shipping.cells import TYPES
from tests.runtime.shipping.model_cells import MODELS

ALL = TYPES | MODELS


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_a_class_is_itself_over_there_and_back(notebook, child, text):
    cell = notebook(text)
    first = child.call(cell.make)
    assert type(first) is cell.Made
    assert first == cell.make()
    here = notebook("def is_made(x): return type(x) is Made, x, Made")
    for _ in range(2):  # however often it goes
        same, back, kind = child.call(here.is_made, first)
        assert (same, type(back), kind) == (True, cell.Made, cell.Made)
        assert back == first


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_a_class_that_was_made_here_is_never_changed(notebook, child, text):
    cell = notebook(text)
    before = dict(vars(cell.Made))
    child.call(cell.make)
    unpack(pack((cell.Made, cell.make)))
    after = dict(vars(cell.Made))
    assert {name for name in before if before[name] is not after[name]} <= {"__annotations__"}


def test_slots_that_are_no_fields_go_along(notebook, child):
    cell = notebook("""
        from dataclasses import dataclass
        class Base:
            __slots__ = ("seen", "__own")
            def tell(self): object.__setattr__(self, "_Base__own", 7)
            def told(self): return self.seen, self.__own
        class Loose: ...
        @dataclass(frozen=True, slots=True)
        class Made(Base, Loose):
            a: int
        one = Made(3)
        object.__setattr__(one, "seen", 5)
        one.__dict__["free"] = 8
        one.tell()
        def use(x): return x.a, x.told(), x.free, x
    """)
    a, told, free, back = child.call(cell.use, cell.one)
    assert (a, told, free) == (3, (5, 7), 8)
    assert (back, back.told(), back.free) == (cell.one, (5, 7), 8)


def test_a_typed_dict(notebook, child):
    cell = notebook("""
        from typing import TypedDict, NotRequired
        class Base(TypedDict, total=False):
            a: int
        class Made(Base):
            b: str
            c: NotRequired[int]
        def make(): return Made(b="x"), Made, Made.__required_keys__, Made.__annotations__
    """)
    one, kind, required, hints = child.call(cell.make)
    assert one == {"b": "x"}
    assert kind is cell.Made
    assert required == {"b"}
    assert hints == cell.Made.__annotations__


def test_a_cell_that_is_run_again_makes_another_class(notebook, child):
    text = """
        from dataclasses import dataclass
        @dataclass
        class Order: a: int
        def make(): return Order(1)
    """
    old = notebook(text)
    first = child.call(old.make)
    new = notebook(text)
    second = child.call(new.make)
    assert old.Order is not new.Order
    assert (type(first), type(second)) == (old.Order, new.Order)
    same = notebook("def same(x): return x").same
    back = child.call(same, [first, second])
    assert [type(one) for one in back] == [old.Order, new.Order]


def test_methods_of_a_class_see_globals_of_this_moment(notebook, child):
    cell = notebook("""
        RATE = 1
        class Order:
            def price(self): return RATE
        def price(order): return order.price()
    """)
    assert child.call(cell.price, cell.Order()) == 1
    notebook("RATE = 2")
    assert child.call(cell.price, cell.Order()) == 2


def test_a_class_that_nobody_uses_any_more_is_let_go(notebook, child):
    cell = notebook("""
        def make(): return type("Local", (), {"__module__": "__main__"})()
        def left():
            import gc
            gc.collect()
            return sum(k.__name__ == "Local" for k in object.__subclasses__())
    """)
    for _ in range(3):
        child.call(cell.make)
    assert child.call(cell.left) == 0


def test_values_go_by_their_own_pickling(notebook, child):
    cell = notebook("""
        import datetime, decimal, pathlib, re, uuid, zoneinfo, fractions, ipaddress
        import numpy as np
        import pandas as pd
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
        values = [
            decimal.Decimal("1.10"), uuid.UUID(int=5), pathlib.Path("a/b"), re.compile("a+", re.I),
            datetime.datetime(2026, 1, 2, tzinfo=zone), datetime.datetime(2026, 1, 2),
            datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), datetime.timedelta(1),
            fractions.Fraction(1, 3), ipaddress.ip_address("::1"), {1, 2}, frozenset("a"), b"x",
            1 + 2j, range(3), ..., NotImplemented, None, float("inf"), 10**40, np.float64(2.5),
        ]
        array, frame = np.arange(6).reshape(2, 3), pd.DataFrame({"a": [1, 2], "b": ["x", None]})
        def same(x): return x
        def use(): return array.sum(), frame["a"].sum(), values
    """)
    assert child.call(cell.same, cell.values) == cell.values
    assert child.call(cell.use) == (15, 3, cell.values)
    assert (child.call(cell.same, cell.array) == cell.array).all()
    assert child.call(cell.same, cell.frame).equals(cell.frame)


def test_generic_annotations(notebook, child):
    cell = notebook("""
        from typing import *
        class A: ...
        hints = [list[A], dict[str, A | None], Optional[A], Union[A, int], Literal["a", 1],
                 Annotated[A, "mark"], Callable[[A], int], tuple[A, ...], type[A], Iterator[A]]
        def same(x): return x
    """)
    assert child.call(cell.same, cell.hints) == cell.hints


def test_sentinels_of_libraries_are_themselves(notebook, child):
    cell = notebook("""
        import dataclasses, inspect, msgspec, pydantic_core
        MARKS = [dataclasses.MISSING, dataclasses.KW_ONLY, dataclasses._HAS_DEFAULT_FACTORY,
                 inspect.Parameter.empty, msgspec.NODEFAULT, msgspec.UNSET,
                 pydantic_core.PydanticUndefined]
        def same(x): return x, [a is b for a, b in zip(x, MARKS)]
    """)
    found, there = child.call(cell.same, cell.MARKS)
    assert all(there)
    assert all(a is b for a, b in zip(found, cell.MARKS, strict=True))


def test_a_metaclass_of_a_cell(notebook, child):
    cell = notebook("""
        class Meta(type):
            def __call__(cls): return super().__call__(), cls.kind
        class Made(metaclass=Meta):
            kind = "k"
    """)
    one, kind = child.call(cell.Made)
    assert type(one) is cell.Made
    assert kind == "k"


def test_a_struct_that_would_be_another_is_refused_by_name(notebook, monkeypatch):
    cell = notebook("""
        import msgspec
        class Odd(msgspec.Struct):
            a: int
    """)
    from buildflow_nb.runtime.shipping import structs

    monkeypatch.setattr(structs, "_is_like", lambda *_: False)
    with pytest.raises(Exception, match="'Odd' cannot be sent to another process"):
        pack(cell.Odd)


def test_bytes_have_the_value_of_a_secret_and_texts_have_not(notebook, child):
    cell = notebook("""
        from buildflow_nb.core.credentials import Secret
        class Holds:
            def __init__(self, x): self.x, self.gen = x, (i for i in [])
            def __repr__(self): return f"Holds({self.x!r})"
        def reveal(x): return x.reveal()
    """)
    hidden = cell.Secret("shhh-1234")
    assert child.call(cell.reveal, hidden) == "shhh-1234"
    assert b"shhh-1234" in pack(hidden)
    with pytest.raises(Exception, match="cannot be sent") as caught:
        pack(cell.Holds(hidden))
    assert "shhh" not in str(caught.value)
    assert b"shhh-1234" in pack_shown(cell.Holds(hidden))
