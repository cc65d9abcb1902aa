"""Secrets are found wherever a type may hold them, and masked in a copy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretBytes, SecretStr

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder, to_record
from buildflow_nb.core.conversion.secret_fields import (
    MASK,
    masker,
    restorer,
    secret_paths,
    secrets_of,
)
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire

Marked = Annotated[str, Secret]
T = TypeVar("T")


@dataclass
class Plain:
    id: int
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: Marked
    token: Secret | None = None

    def __post_init__(self) -> None:
        if self.password == MASK:
            raise ValueError  # a copy must not run the class's own checks


class Model(BaseModel):
    user: str
    key: SecretStr = Field(alias="apiKey")
    raw: SecretBytes | None = None
    own: Secret | None = None


class Packed(msgspec.Struct, frozen=True, rename="camel"):
    user: str
    pass_word: Marked


class Typed(TypedDict):
    user: str
    pin: NotRequired[Annotated[int, Secret]]


class Pair(NamedTuple):
    user: str
    pin: Marked


@dataclass
class Box(Generic[T]):
    inside: T


@dataclass
class Node:
    secret: Marked
    children: list[Node] = field(default_factory=list)


@dataclass
class Deep:
    logins: list[Login]
    by_name: dict[str, Login]
    maybe: Optional[Pair] = None  # noqa: UP045
    either: Login | Plain | None = None
    fixed: tuple[int, Marked] = (1, "t0p")


LOGIN = Login("ann", "hunter2", Secret("t0ken"))


@pytest.mark.parametrize(
    "hint",
    [int, str, None, Any, Plain, list[Plain], dict[str, int], Literal["a"], Plain | None, Box[int]],
)
def test_types_without_secrets_have_no_masker(hint):
    assert masker(hint) is None
    assert restorer(hint) is None
    assert secrets_of(hint) is None
    assert secret_paths(hint) == ()


@pytest.mark.parametrize(
    ("hint", "value", "masked"),
    [
        (Secret, Secret("x"), MASK),
        (Marked, "x", MASK),
        (SecretStr, SecretStr("x"), MASK),
        (Marked | None, None, None),
        (Marked | int, 5, 5),
        (Marked | int, "x", MASK),
        (list[Marked], ["a", "b"], [MASK, MASK]),
        (dict[str, Secret], {"a": Secret("x")}, {"a": MASK}),
        (dict[Marked, int], {"a": 1}, {MASK: 1}),
        (Typed, {"user": "u", "pin": 1234}, {"user": "u", "pin": MASK}),
        (Typed, {"user": "u"}, {"user": "u"}),
        (Pair, Pair("u", "p"), Pair("u", MASK)),
        (Pair, ["u", "p"], ["u", MASK]),
        (Packed, Packed("u", "p"), Packed("u", MASK)),
        (Packed, {"user": "u", "passWord": "p"}, {"user": "u", "passWord": MASK}),
        (Login, {"user": "u", "password": "p"}, {"user": "u", "password": MASK}),
        (Login, "not a record at all", MASK),
        (list[Login], "neither", MASK),
        (Login | Plain, Plain(1), Plain(1)),
        (Login | Plain, {"user": "u", "password": "p"}, {"user": "u", "password": MASK}),
        (Box[Marked], Box("x"), Box(MASK)),
        (Box[list[Marked]], Box(["x"]), Box([MASK])),
        (Node, Node("a", [Node("b")]), Node(MASK, [Node(MASK)])),
    ],
)
def test_secrets_are_masked_and_nothing_else(hint, value, masked):
    assert masker(hint)(value) == masked


def test_the_original_stays_and_a_frozen_copy_is_masked():
    shown = masker(Login)(LOGIN)
    assert type(shown) is Login
    assert (shown.user, shown.password, shown.token) == ("ann", MASK, MASK)
    assert LOGIN.password == "hunter2"  # noqa: S105
    assert "hunter2" not in repr(shown)


def test_models_are_copied_without_validation():
    model = Model(user="u", apiKey="k3y", raw=b"r4w", own="0wn")
    shown = masker(Model)(model)
    assert (shown.user, shown.key, shown.raw, shown.own) == ("u", MASK, MASK, MASK)
    assert masker(Model)({"user": "u", "apiKey": "k3y"}) == {"user": "u", "apiKey": MASK}
    assert model.key.get_secret_value() == "k3y"


def test_deep_values_are_masked_everywhere_and_paths_say_where():
    deep = Deep([LOGIN], {"a": LOGIN}, Pair("p", "pinned"), LOGIN)
    shown = masker(Deep)(deep)
    for secret in ("hunter2", "t0ken", "pinned", "t0p"):
        assert secret not in repr(shown)
    assert deep.fixed == (1, "t0p")
    assert secret_paths(Deep) == (
        "logins[].password",
        "logins[].token",
        "by_name.*.password",
        "by_name.*.token",
        "maybe.pin",
        "either.password",
        "either.token",
        "fixed[1]",
    )
    assert secret_paths(Node) == ("secret",)


def test_a_masked_copy_that_was_edited_gets_its_secrets_back():
    deep = Deep([LOGIN], {"a": LOGIN}, Pair("p", "pinned"), LOGIN)
    shown = masker(Deep)(deep)
    assert restorer(Deep)(shown, deep) == deep
    shown.maybe = Pair("q", "new pin")
    back = restorer(Deep)(shown, deep)
    assert back.maybe == Pair("q", "new pin")
    assert back.logins == [LOGIN]
    typed = {"user": "changed", "pin": MASK}
    assert restorer(Typed)(typed, {"user": "u", "pin": 7}) == {"user": "changed", "pin": 7}


def test_secrets_are_listed():
    assert secrets_of(Login)(LOGIN) == ["hunter2", Secret("t0ken")]
    assert secrets_of(Login)({"user": "u", "password": "p"}) == ["p"]


class Odd:
    password: Marked

    def __init__(self, password):
        self.password = password

    def __copy__(self):
        raise RuntimeError


def test_a_record_that_cannot_be_copied_is_masked_as_a_whole():
    odd = dataclass(init=False)(Odd)
    assert masker(odd)(odd("p")) == MASK


@dataclass
class Stored:
    user: str
    key: Secret
    other: SecretStr
    maybe: Secret | None = None


@pytest.mark.parametrize("wire", [Wire.TEXT, Wire.BYTES, Wire.RECORD, Wire.ROW, Wire.OBJECT])
def test_secret_fields_are_decoded_from_text_and_written_as_it(wire):
    raw: Any = {"user": "u", "key": "k", "other": "o"}
    if wire is Wire.TEXT:
        raw = json.dumps(raw)
    if wire is Wire.BYTES:
        raw = json.dumps(raw).encode()
    if wire is not Wire.TEXT and wire is not Wire.BYTES:
        raw["maybe"] = None if wire is not Wire.ROW else ""
    found = compile_decoder(Stored, wire, "here").one(raw)
    assert found == Stored("u", Secret("k"), SecretStr("o"))
    plain = {"user": "u", "key": "k", "other": "o"}
    assert to_record(found).items() >= plain.items()
    (text,) = compile_encoder(Stored, Wire.TEXT, "here")([found])
    assert json.loads(text).items() >= plain.items()
    with pytest.raises(ConversionError, match="expected Secret, got int"):
        compile_decoder(Stored, Wire.RECORD, "here").one({"user": "u", "key": 5, "other": "o"})


def test_models_and_bare_secrets_are_written_in_the_clear_for_sinks():
    model = Model(user="u", apiKey="k", raw=b"r", own="w")
    assert to_record(model) == {"user": "u", "apiKey": "k", "raw": b"r", "own": "w"}
    assert compile_encoder(Secret, Wire.TEXT, "x")([Secret("s")]) == ["s"]
    assert compile_encoder(Secret, Wire.RECORD, "x")([Secret("s")]) == [{"value": "s"}]
    assert Model(user="u", apiKey="k", own=Secret("w")).own == Secret("w")
