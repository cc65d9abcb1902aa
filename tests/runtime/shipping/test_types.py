"""Types of a notebook: themselves over there, and themselves when their instances come back."""

from __future__ import annotations

import pytest

from buildflow_nb.runtime.shipping import pack, pack_shown

TYPES = {
    "dataclass": """
        from dataclasses import dataclass, field
        @dataclass
        class Made:
            a: int
            b: list = field(default_factory=list)
            c: str = "c"
        def make(): return Made(1)
    """,
    "dataclass, slots and frozen": """
        from dataclasses import dataclass, field
        @dataclass(slots=True, frozen=True, kw_only=True, order=True)
        class Made:
            a: int
            b: tuple = field(default_factory=tuple, hash=False)
            c: str = "c"
        def make():
            one = Made(a=1)
            try:
                one.d = 3
            except (AttributeError, TypeError):
                assert not hasattr(one, "__dict__")
                return one
    """,
    "dataclass, slots": """
        from dataclasses import dataclass, field, KW_ONLY
        @dataclass(slots=True)
        class Base:
            a: int = 3
            __secret: int = 4
        @dataclass(slots=True)
        class Made(Base):
            _: KW_ONLY
            b: int = 5
            def sum(self): return self.a + self.b
        def make():
            one = Made(1)
            assert one.sum() == 6 and not hasattr(one, "__dict__")
            return one
    """,
    "dataclass, inherits, InitVar": """
        from dataclasses import dataclass, field, InitVar, fields, MISSING
        from typing import ClassVar
        @dataclass
        class Base:
            a: int
            n: ClassVar[int] = 7
        @dataclass
        class Made(Base):
            b: InitVar[int] = 2
            c: int = field(init=False, default=0)
            def __post_init__(self, b): self.c = b * self.n
        def make():
            assert fields(Made)[0].default is MISSING
            try:
                Made()
            except TypeError:
                return Made(1, 3)
    """,
    "Enum": """
        from enum import Enum
        class Made(Enum):
            A = 1
            B = "b"
            ALIAS = 1
            def said(self): return self.name
            @classmethod
            def first(cls): return cls.A
        def make():
            assert Made["ALIAS"] is Made.A and Made(1).said() == "A"
            assert list(Made) == [Made.A, Made.B]
            return Made.first()
    """,
    "Enum with an __init__": """
        from enum import Enum
        class Made(Enum):
            EARTH = (5, 6)
            MARS = (1, 2)
            def __init__(self, mass, radius): self.mass, self.radius = mass, radius
            @property
            def both(self): return self.mass + self.radius
        def make():
            assert Made.MARS.both == 3
            return Made.EARTH
    """,
    "IntEnum": """
        from enum import IntEnum, auto, unique
        @unique
        class Made(IntEnum):
            A = auto()
            B = auto()
        def make():
            assert Made.B == 2 and Made.B + 1 == 3
            return Made.B
    """,
    "StrEnum": """
        from enum import StrEnum, auto
        class Made(StrEnum):
            OPEN = auto()
        def make():
            assert Made.OPEN == "open" and f"{Made.OPEN}" == "open"
            return Made("open")
    """,
    "Flag": """
        from enum import Flag, auto, KEEP
        class Made(Flag, boundary=KEEP):
            R = auto()
            W = auto()
            RW = R | W
        def make():
            assert Made["RW"] is Made.RW and Made.R in Made.RW and Made(9) and list(Made.RW)
            return Made.R | Made.W
    """,
    "NamedTuple": """
        from typing import NamedTuple
        class Made(NamedTuple):
            a: int
            b: str = "b"
            def twice(self): return self.a * 2
        def make():
            one = Made(a=2)
            assert one.twice() == 4 and one._replace(a=1) == (1, "b") and Made._fields == ("a", "b")
            assert not hasattr(one, "__dict__") and Made._make([1, 2]).b == 2
            return one
    """,
    "generic NamedTuple": """
        from typing import NamedTuple, Generic, TypeVar
        T = TypeVar("T")
        class Made(NamedTuple, Generic[T]):
            a: T
        def make(): return Made[int](2)
    """,
    "namedtuple": """
        from collections import namedtuple
        Made = namedtuple("Made", "a b", defaults=[3])
        def make(): return Made(1)
    """,
    "class": """
        class Made:
            __slots__ = ("a", "__b", "__weakref__")
            def __init__(self): self.a, self.__b = 1, 2
            def __eq__(self, other): return other.a == self.a and other.__b == self.__b
        def make(): return Made()
    """,
    "abstract class": """
        import abc
        class Base(abc.ABC):
            @abc.abstractmethod
            def go(self): ...
            registered = []
            def __init_subclass__(cls, *, kind, **more):
                super().__init_subclass__(**more)
                cls.registered.append((cls.__name__, kind))
        class Made(Base, kind=4):
            def go(self): return 1
            def __eq__(self, other): return type(other) is type(self)
        @Base.register
        class Other: ...
        def make():
            assert Made.registered == [("Made", 4)] and isinstance(Other(), Base)
            class Local(Base, kind=5): ...
            assert Made.registered.pop() == ("Local", 5)
            return Made()
    """,
    "Struct": """
        import msgspec
        class Made(msgspec.Struct):
            a: int
            b: list = []
            c: dict = msgspec.field(default_factory=lambda: {"x": 1})
            d: str = msgspec.field(default="d", name="dee")
            def sum(self): return self.a + len(self.b)
            @property
            def big(self): return self.a > 1
            @classmethod
            def made(cls): return cls(1)
            @staticmethod
            def plain(): return 2
        def make():
            one, two = Made.made(), Made.made()
            one.b.append(1)
            assert two.b == [] and one.sum() == 2 and not one.big and Made.plain() == 2
            assert msgspec.json.encode(two) == b'{"a":1,"b":[],"c":{"x":1},"dee":"d"}'
            return msgspec.json.decode(b'{"a":5,"dee":"x"}', type=Made)
    """,
    "Struct with flags": """
        import msgspec
        class Made(msgspec.Struct, frozen=True, order=True, kw_only=True, tag="made", weakref=True,
                   rename="camel", omit_defaults=True, forbid_unknown_fields=True, dict=True,
                   cache_hash=True):
            some_a: int
            some_b: int = 2
            def __post_init__(self): self.__dict__["seen"] = self.some_a
        def make():
            one = Made(some_a=1)
            assert one.seen == 1 and hash(one) and one < Made(some_a=2)
            assert msgspec.json.encode(one) == b'{"type":"made","someA":1}'
            try:
                msgspec.json.decode(b'{"type":"made","someA":1,"x":2}', type=Made)
            except msgspec.ValidationError:
                return one
    """,
    "Struct, inherits, super()": """
        import msgspec
        class Base(msgspec.Struct, tag=True, tag_field="kind", array_like=False, gc=False):
            a: int
            def __post_init__(self):
                if self.a < 0: raise ValueError("below")
            def said(self): return [self.a]
        class Made(Base, tag="m"):
            b: str = "b"
            def __post_init__(self):
                super().__post_init__()
                self.b = self.b.upper()
            def said(self): return super().said() + [self.b, __class__.__name__]
        class Plain(Base, tag=False): ...
        class Other(Base): ...
        def make():
            assert Made(1).said() == [1, "B", "Made"]
            assert msgspec.json.encode([Made(1), Plain(1), Other(1)]) == (
                b'[{"kind":"m","a":1,"b":"B"},{"a":1},{"kind":"Other","a":1}]')
            found = msgspec.json.decode(b'{"kind":"m","a":1}', type=Made | Other)
            for kind in (Made, Plain):
                try:
                    kind(-1)
                except ValueError:
                    continue
                raise AssertionError(kind)
            return found
    """,
    "generic Struct": """
        import msgspec
        from typing import Generic, TypeVar
        T = TypeVar("T")
        class Made(msgspec.Struct, Generic[T]):
            a: T
            up: "Made | None" = None
        def make(): return msgspec.json.decode(b'{"a": 1, "up": {"a": 2}}', type=Made[int])
    """,
    "Struct that its default names": """
        import msgspec
        def empty(): return [Made(1, [])]
        class Made(msgspec.Struct):
            a: int
            b: list["Made"] = msgspec.field(default_factory=empty)
        def make(): return Made(2)
    """,
    "pydantic": """
        from typing import Annotated, Literal
        import pydantic
        class Line(pydantic.BaseModel):
            sku: str = pydantic.Field(min_length=2)
        class Made(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(frozen=True, extra="forbid")
            a: int = pydantic.Field(gt=0, alias="A")
            b: list[Line] = []
            c: Annotated[str, pydantic.AfterValidator(str.upper)] = "c"
            d: Literal["x", "y"] = "x"
            _private: int = pydantic.PrivateAttr(default=4)
            @pydantic.field_validator("a")
            @classmethod
            def check(cls, value): return value + 1
            @pydantic.model_validator(mode="after")
            def whole(self): return self
            @pydantic.computed_field
            @property
            def e(self) -> int: return self.a * 2
            @pydantic.field_serializer("c")
            def written(self, c): return c.lower()
        def make():
            one = Made.model_validate({"A": 1, "b": [{"sku": "ab"}], "c": "q"})
            assert one.a == 2 and one.c == "Q" and one.e == 4 and one._private == 4
            assert one.model_dump_json() == '{"a":2,"b":[{"sku":"ab"}],"c":"q","d":"x","e":4}'
            assert Made.model_json_schema()["properties"]["A"]["exclusiveMinimum"] == 0
            for bad in ({"A": 0}, {"A": 1, "b": [{"sku": "a"}]}, {"A": 1, "z": 1}):
                try:
                    Made.model_validate(bad)
                except pydantic.ValidationError:
                    continue
                raise AssertionError(bad)
            return one
    """,
    "generic pydantic": """
        from typing import Generic, TypeVar
        import pydantic
        T = TypeVar("T")
        class Box(pydantic.BaseModel, Generic[T]):
            x: T
            up: "Box[T] | None" = None
        class Made(pydantic.BaseModel):
            a: Box[int]
        def make():
            one = Made.model_validate({"a": {"x": 1, "up": {"x": 2}}})
            assert type(one.a) is Box[int]
            try:
                Made.model_validate({"a": {"x": "q"}})
            except pydantic.ValidationError:
                return one
    """,
    "pydantic's dataclass": """
        import pydantic
        from pydantic.dataclasses import dataclass
        @dataclass(config=pydantic.ConfigDict(extra="forbid"))
        class Made:
            a: int = pydantic.Field(gt=0)
            b: list[int] = pydantic.Field(default_factory=list)
            @pydantic.field_validator("a")
            @classmethod
            def check(cls, value): return value + 1
        def make():
            one = pydantic.TypeAdapter(Made).validate_python({"a": 1})
            assert one.a == 2 and Made(a="3").a == 4
            try:
                Made(a=0)
            except pydantic.ValidationError:
                return one
    """,
}


@pytest.mark.parametrize("text", TYPES.values(), ids=TYPES)
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


@pytest.mark.parametrize("text", TYPES.values(), ids=TYPES)
def test_a_class_that_was_made_here_is_never_changed(notebook, child, text):
    cell = notebook(text)
    before = dict(vars(cell.Made))
    child.call(cell.make)
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
