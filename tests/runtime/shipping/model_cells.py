"""Cells like those of `cells.py`, of msgspec and pydantic."""

from __future__ import annotations

__all__ = ("MODELS",)

MODELS = {
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
