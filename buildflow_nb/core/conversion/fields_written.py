"""The fields of a record type as they are written and read: names, types, and how to get at them.

Tables have to know their columns before there are elements, so this says of a type what
`to_record` does with its instances. Where no type can say that (a model that takes extra fields, or
that writes itself), the elements have to.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from buildflow_nb.core.conversion.annotations import (
    is_pydantic,
    is_record,
    is_struct,
    is_typed_dict,
    pydantic_fields,
    record_hints,
)
from buildflow_nb.core.conversion.model_forms import model_config, names_read, spelling_of

__all__ = ("Written", "fields_read", "fields_written")

# What a serializer says that it returns, as pydantic-core calls it.
_RETURNED: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "bytes": bytes,
    "decimal": decimal.Decimal,
    "datetime": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "timedelta": dt.timedelta,
    "uuid": uuid.UUID,
}
_SECRETS = ("_serialize_secret", "_serialize_secret_field")  # a sink gets what they hide


@dataclass(frozen=True, slots=True)
class Written:
    """The written names of a record type with their types, in order.

    `attributes` maps them to the attributes that hold the values; it is None where a value has to
    be made by `to_record`. `lacking` are the names that may not be written of an element.
    """

    hints: Mapping[str, Any]
    attributes: Mapping[str, str] | None
    lacking: frozenset[str] = frozenset()


def fields_written(hint: Any) -> Written | None:
    """The fields of a record type as they are written; None where the type does not say them."""
    if not is_record(hint):
        return None
    if is_pydantic(hint):
        return _of_model(hint)
    hints = record_hints(hint)
    if is_struct(hint):
        return _of_struct(hint, hints)
    if is_typed_dict(hint):
        return Written(hints, None, _not_required(hint, hints))
    return Written(hints, {name: name for name in hints})


def _not_required(kind: Any, hints: Mapping[str, Any]) -> frozenset[str]:
    """The keys that a TypedDict may be without; of annotations that are strings it knows few."""
    said = {name: getattr(get_origin(hint), "_name", "") for name, hint in hints.items()}
    return frozenset(
        name
        for name, mark in said.items()
        if mark == "NotRequired" or (name in kind.__optional_keys__ and mark != "Required")
    )


def _of_struct(kind: Any, hints: Mapping[str, Any]) -> Written | None:
    config = kind.__struct_config__
    if config.array_like:
        return None  # it has no names
    names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    found = {written: hints[name] for written, name in names.items()}
    if config.tag is None:
        return Written(found, names)
    lacking = frozenset(found) if config.omit_defaults else frozenset()
    return Written({config.tag_field: type(config.tag), **found}, None, lacking)


def _of_model(kind: Any) -> Written | None:
    decorators = kind.__pydantic_decorators__
    rooted = getattr(kind, "__pydantic_root_model__", False)
    if rooted or decorators.model_serializers or model_config(kind).get("extra") == "allow":
        return None
    hints, schemas = record_hints(kind), _schemas(kind)
    found: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    plain, lacking = not decorators.computed_fields, set()
    for name in pydantic_fields(kind):
        schema = schemas.get(name, {})
        if schema.get("serialization_exclude"):
            plain = False
            continue
        written, returned = spelling_of(kind, name), _returned(schema.get("schema", {}))
        if "serialization_exclude_if" in schema:
            lacking.add(written)
        plain = plain and returned is None and not lacking
        found[written], attributes[written] = returned or hints[name], name
    for name, decorator in decorators.computed_fields.items():
        returned = decorator.info.return_type
        found[decorator.info.alias or name] = returned if isinstance(returned, type) else Any
    return Written(found, attributes if plain else None, frozenset(lacking))


def _schemas(kind: Any) -> Mapping[str, Any]:
    """What pydantic-core was told of each field."""
    schema: Any = kind.__pydantic_core_schema__
    while isinstance(schema, Mapping) and schema.get("type") not in _OF_FIELDS:
        schema = schema.get("schema")
    if not isinstance(schema, Mapping):
        return {}
    fields = schema["fields"]
    return fields if isinstance(fields, Mapping) else {field["name"]: field for field in fields}


_OF_FIELDS = ("model-fields", "dataclass-args")


def _returned(schema: Any) -> Any:
    """The type that a serializer makes of a field; None where there is none."""
    for said in _serializations(schema):
        if str(said.get("when_used", "")).startswith("json"):
            continue
        if getattr(said.get("function"), "__name__", "") in _SECRETS:
            continue
        return _RETURNED.get(said.get("return_schema", {}).get("type"), Any)
    return None


def _serializations(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _serializations(part)
    elif isinstance(schema, Mapping):
        if isinstance(schema.get("serialization"), Mapping):
            yield schema["serialization"]
        if schema.get("type") in ("model", "dataclass"):
            return  # it has fields of its own
        for part in schema.values():
            yield from _serializations(part)


def fields_read(hint: Any) -> Mapping[str, Any]:
    """The types of a record's fields by every name that they are read by."""
    hints = record_hints(hint)
    if is_struct(hint):
        return dict(zip(hint.__struct_encode_fields__, hints.values(), strict=True))
    if is_pydantic(hint):
        return {key: kind for name, kind in hints.items() for key in names_read(hint, name)}
    return hints
