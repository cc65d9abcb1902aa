"""Cells that declare a type `Made`, each with a `make()` that looks at it and makes one."""

from __future__ import annotations

__all__ = ("TYPES",)

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
}
