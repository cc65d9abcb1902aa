"""Property bags as the engine sends them, and as plain Python values.

The engine sends a resource's properties as a protobuf `Struct` in which three things are not what
they seem: a secret is an object with a signature around the value, a value that is not known yet
(in a preview) is one of seven fixed strings, and every number is a double. `decode` takes all
three away, so that nothing behind it has to know them: a secret becomes its value, with the name
of the property noted; an unknown becomes `UNKNOWN`; a whole number becomes an `int`.

Secrecy is kept property by property: if any part of a property is secret, all of it is.

Source: pulumi, sdk/go/common/resource/plugin/rpc.go (unknowns) and sdk/go/common/resource/sig
(signatures), both part of the provider protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf import struct_pb2
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_TEXT

__all__ = ("UNKNOWN", "Bag", "Plain", "Unknown", "decode", "encode", "encoded")

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  (a mark, not a password)
UNKNOWN_TEXTS = frozenset(
    {
        UNKNOWN_TEXT,  # a text, and whatever a Python program leaves open
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


class Unknown:
    """A value that only the operation itself will tell; there is one, `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

Plain: TypeAlias = "bool | int | float | str | Unknown | list[Plain] | dict[str, Plain] | None"


@dataclass(frozen=True, slots=True)
class Bag:
    """Plain properties by name, and the names of those that hold a secret."""

    values: dict[str, Plain]
    secrets: frozenset[str] = frozenset()


def decode(struct: struct_pb2.Struct) -> Bag:
    """Read a property bag."""
    secrets: set[str] = set()
    values = {name: _plain(value, name, secrets) for name, value in struct.fields.items()}
    return Bag(values, frozenset(secrets))


def encode(values: Mapping[str, Plain], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """Write a property bag in which the properties named in `secrets` are secret."""
    hidden = frozenset(secrets)
    fields = {name: encoded(value, secret=name in hidden) for name, value in values.items()}
    return struct_pb2.Struct(fields=fields)


def encoded(value: Plain, *, secret: bool = False) -> struct_pb2.Value:
    """Write one property."""
    if secret:
        signed = {SIGNATURE_KEY: encoded(SECRET_SIGNATURE), "value": encoded(value)}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=signed))
    written = struct_pb2.Value()
    match value:
        case None:
            written.null_value = struct_pb2.NULL_VALUE
        case bool():
            written.bool_value = value
        case int() | float():
            written.number_value = value
        case str():
            written.string_value = value
        case Unknown():
            written.string_value = UNKNOWN_TEXT
        case list():
            written.list_value.values.extend(encoded(item) for item in value)
            written.list_value.SetInParent()  # or an empty list would be no value at all
        case dict():
            written.struct_value.CopyFrom(encode(value))
    return written


def _plain(value: struct_pb2.Value, name: str, secrets: set[str]) -> Plain:
    """The value without marks; `name` goes into `secrets` if any part of it is secret."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text: str = value.string_value
        return UNKNOWN if text in UNKNOWN_TEXTS else text
    if kind == "list_value":
        return [_plain(item, name, secrets) for item in value.list_value.values]
    if kind == "struct_value":
        return _object(value.struct_value.fields, name, secrets)
    if kind == "number_value":
        return _number(value.number_value)
    return bool(value.bool_value) if kind == "bool_value" else None


def _object(fields: Any, name: str, secrets: set[str]) -> Plain:
    if SIGNATURE_KEY not in fields:
        return {key: _plain(item, name, secrets) for key, item in fields.items()}
    if fields[SIGNATURE_KEY].string_value == SECRET_SIGNATURE:
        secrets.add(name)
    return _plain(fields["value"], name, secrets) if "value" in fields else None


def _number(number: float) -> int | float:
    return int(number) if number.is_integer() else number
