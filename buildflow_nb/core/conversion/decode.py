"""From a source's wire form to the type that a processor declares, compiled once.

A decoder is made when the processor is declared, and a type that cannot be decoded is refused
there, in one line. Decoding works batch by batch (`many`) because one call into C for a list is
several times cheaper than one per element; where a batch fails, the caller decodes it one by one
(`one`) to find the elements at fault.

Guarantee: decoding raises `ConversionError` and nothing else, whatever a type's own code does.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_origin

import msgspec

from buildflow_nb.core.conversion.annotations import (
    class_of,
    is_record,
    is_unknown,
    optional_of,
    type_name,
    unconvertible,
)
from buildflow_nb.core.conversion.boundary import (
    Many,
    One,
    all_sound,
    one_by_one,
    read_alone,
    read_together,
    sound,
)
from buildflow_nb.core.conversion.defaults import whole
from buildflow_nb.core.conversion.json_values import json_converter, plain_json
from buildflow_nb.core.conversion.rows import RowPreparation
from buildflow_nb.core.conversion.text_rows import TextRows, column_converter
from buildflow_nb.core.conversion.typed_values import converters
from buildflow_nb.core.conversion.whole_decimals import with_whole_decimals
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Wire

__all__ = ("Decoder", "compile_decoder")


@dataclass(frozen=True, slots=True)
class Decoder:
    """Converts elements; both raise `ConversionError` with the field's path.

    `many` may also raise for a batch whose fault only `one` can name.
    """

    one: One
    many: Many


def compile_decoder(hint: object, wire: Wire, where: str) -> Decoder:
    """Make the decoder from `wire` to the annotated type; `where` opens error messages.

    Raises:
        DeclarationError: elements of that form can never become this type.
    """
    decoder = _compiled(hint, wire, where)
    return _of_rows(decoder, hint) if wire is Wire.ROW else decoder


def _of_rows(decoder: Decoder, hint: object) -> Decoder:
    """The decoder for rows that come as `TextRows`, too."""
    by_column = column_converter(optional_of(hint)[0])

    def many(raws: Sequence[object]) -> Sequence[object]:
        if type(raws) is not TextRows:
            return decoder.many(raws)
        found = by_column(raws) if by_column is not None and raws.rows else None
        return decoder.many(list(raws)) if found is None else found

    return Decoder(decoder.one, many)


def _compiled(hint: object, wire: Wire, where: str) -> Decoder:
    inner, _ = optional_of(hint)
    if is_unknown(inner):
        return _decoder(_PLAIN_JSON, None) if wire is Wire.JSON else _AS_IT_IS
    own = _own_method(inner, wire)
    if own is not None:
        return _decoder(own, inner)
    if wire is Wire.ROW and not (is_record(inner) or inner is dict or get_origin(inner) is dict):
        msg = (
            f"{where}: a row cannot become {type_name(hint)}; "
            "annotate with a dataclass, another record type or dict"
        )
        raise DeclarationError(msg)
    _refuse_unconvertible(hint, wire, where)
    if wire in (Wire.TEXT, Wire.BYTES, Wire.JSON):
        return _from_json(hint, wire, where)
    made = with_whole_decimals(converters(hint, where, lax=wire is Wire.ROW), hint)
    convert, convert_many = whole(made, hint)
    if wire is Wire.OBJECT:
        return _objects(hint, convert)
    if wire is Wire.ROW:
        rows = RowPreparation.of(inner)
        return Decoder(
            read_alone(lambda raw: convert(rows.one(raw)), hint),
            read_together(lambda raws: convert_many(rows.many(raws)), hint),
        )
    return Decoder(read_alone(convert, hint), read_together(convert_many, hint))


def _from_json(hint: object, wire: Wire, where: str) -> Decoder:
    """JSON; of text and bytes only what is to be neither."""
    inner, _ = optional_of(hint)
    if wire is not Wire.JSON and inner in (str, bytes):
        return _decoder(_as_text if inner is str else _as_bytes, hint)
    convert = json_converter(hint, where)
    one, many = whole((convert, one_by_one(convert)), hint)
    plain = plain_json if wire is Wire.JSON else None
    return Decoder(read_alone(one, hint, plain), read_together(many, hint))


_PLAIN_JSON = msgspec.json.Decoder().decode
_AS_IT_IS = Decoder(sound, read_together(all_sound, None))


def _decoder(convert: One, hint: object) -> Decoder:
    return Decoder(read_alone(convert, hint), read_together(one_by_one(convert), hint))


def _refuse_unconvertible(hint: object, wire: Wire, where: str) -> None:
    if wire is Wire.OBJECT and class_of(optional_of(hint)[0]) is not None:
        return  # objects of any class pass as they are
    odd = unconvertible(hint)
    if odd is not None:
        inside = "" if odd is hint else f" (inside {type_name(hint)})"
        msg = (
            f"{where}: {type_name(odd)}{inside} cannot be made from {wire.value}; "
            "use a dataclass, a pydantic model, a TypedDict, a NamedTuple or plain types"
        )
        raise DeclarationError(msg)


def _own_method(hint: object, wire: Wire) -> One | None:
    """A class may bring its own conversion, as in BuildFlow: `from_string`, `from_bytes`."""
    name = {Wire.TEXT: "from_string", Wire.BYTES: "from_bytes"}.get(wire)
    if name is None or not isinstance(hint, type) or hint in (int, bytes, bytearray):
        return None
    method = inspect.getattr_static(hint, name, None)
    return cast("One", getattr(hint, name)) if isinstance(method, classmethod) else None


def _objects(hint: object, convert: One) -> Decoder:
    """Objects pass as they are when they fit; plain ones (a dict for a dataclass) are converted."""
    expected = class_of(optional_of(hint)[0])

    def fitting(raw: object) -> object:
        return raw if expected is not None and isinstance(raw, expected) else convert(raw)

    one = read_alone(fitting, hint)

    def many(raws: Sequence[object]) -> Sequence[object]:
        if expected is not None and set(map(type, raws)) == {expected}:
            return raws
        return [one(raw) for raw in raws]

    return Decoder(one, read_together(many, hint))


def _as_text(raw: object) -> object:
    return raw.decode() if isinstance(raw, bytes) else raw


def _as_bytes(raw: object) -> object:
    return raw.encode() if isinstance(raw, str) else raw
