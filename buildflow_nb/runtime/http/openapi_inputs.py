"""What an operation of the OpenAPI document takes: parameters and a body, with their marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buildflow_nb.core.conversion.encode import json_bytes
from buildflow_nb.core.declaring.http_binding import BindingPlan, ParameterSource, Slot
from buildflow_nb.core.errors import ConversionError

__all__ = ("BINARY", "body_of", "parameters_of")

Json = dict[str, Any]
Schema = Callable[[Any], Json]
BINARY: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
"""A file (OpenAPI 3.1, section 4.8.14.2)."""
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_IN = {
    ParameterSource.PATH: "path",
    ParameterSource.QUERY: "query",
    ParameterSource.FIELDS: "query",
    ParameterSource.HEADER: "header",
    ParameterSource.COOKIE: "cookie",
}


def parameters_of(plan: BindingPlan, schema: Schema) -> list[Json]:
    """Parameters of the path, the query, headers and cookies."""
    return [one for slot in plan.at(*_IN) if _shown(slot) for one in _parameters(slot, schema)]


def _shown(slot: Slot) -> bool:
    return slot.parameter.mark is None or slot.parameter.mark.include_in_schema


def _parameters(slot: Slot, schema: Schema) -> list[Json]:
    if slot.place is ParameterSource.FIELDS or (
        slot.is_record and slot.place is not ParameterSource.PATH
    ):
        return _fields(slot, schema)
    in_path = slot.place is ParameterSource.PATH
    made = {
        "name": slot.alias,
        "in": _IN[slot.place],
        "required": in_path or slot.parameter.required,
        "schema": _described(slot, schema),
    }
    mark = slot.parameter.mark
    if mark is not None and mark.description is not None:
        made["description"] = mark.description
    if mark is not None and mark.deprecated:
        made["deprecated"] = True
    return [made]


def _fields(slot: Slot, schema: Schema) -> list[Json]:
    """A record that is made of several parameters: its fields."""
    described = schema(("fields", slot.hint))
    required = described.get("required", ()) if slot.parameter.required else ()
    dashed = slot.place is ParameterSource.HEADER and (
        slot.parameter.mark is None or slot.parameter.mark.convert_underscores
    )
    return [
        {
            "name": name.replace("_", "-") if dashed else name,
            "in": _IN[slot.place],
            "required": name in required,
            "schema": field,
        }
        for name, field in described.get("properties", {}).items()
    ]


def _described(slot: Slot, schema: Schema) -> Json:
    """The schema of a value, with what its mark and its default say."""
    made = _file(slot) if slot.place is ParameterSource.FILE else dict(schema(slot.hint))
    if not made and slot.place is not ParameterSource.BODY:
        made = {"type": "string"}
    mark, default = slot.parameter.mark, slot.parameter.default
    if mark is not None and mark.title is not None:
        made["title"] = mark.title
    if mark is not None and mark.examples:
        made["examples"] = [_plain(example) for example in mark.examples]
    if not slot.parameter.required and isinstance(default, (str, int, float)):
        made["default"] = default
    return made


def _member(slot: Slot, schema: Schema) -> Json:
    """The schema of a member of a body, which has no other place to say what it is."""
    made, mark = _described(slot, schema), slot.parameter.mark
    if mark is not None and mark.description is not None:
        made["description"] = mark.description
    if mark is not None and mark.deprecated:
        made["deprecated"] = True
    return made


def _plain(example: object) -> object:
    import msgspec

    try:
        return msgspec.json.decode(json_bytes(example))
    except ConversionError:
        return str(example)


def _file(slot: Slot) -> Json:
    return {"type": "array", "items": dict(BINARY)} if slot.repeated else dict(BINARY)


def body_of(plan: BindingPlan, schema: Schema) -> Json | None:
    """The body, if any parameter comes from one."""
    raw = plan.at(ParameterSource.RAW)
    form = plan.at(ParameterSource.FORM, ParameterSource.FILE)
    parts = plan.at(ParameterSource.BODY)
    if raw:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        return {"content": content, "required": raw[0].parameter.required}
    if form:
        files = plan.at(ParameterSource.FILE)
        return _body(_MULTIPART if files else _FORM, form, schema, keyed=not _is_model(form))
    if not parts:
        return None
    mark = parts[0].parameter.mark
    kind = (mark and mark.media_type) or "application/json"
    return _body(kind, parts, schema, keyed=plan.keyed)


def _is_model(form: list[Slot]) -> bool:
    """Whether one record is made of the whole form."""
    return len(form) == 1 and form[0].is_record


def _body(kind: str, slots: list[Slot], schema: Schema, *, keyed: bool) -> Json:
    required = [slot.alias for slot in slots if slot.parameter.required]
    if not keyed:
        described = schema(slots[0].hint) if slots[0].is_record else _member(slots[0], schema)
        return {"content": {kind: {"schema": described}}, "required": bool(required)}
    members: Json = {}
    for slot in slots:
        if slot.is_record and slot.place is ParameterSource.FORM:
            fields = schema(("fields", slot.hint))
            members |= fields.get("properties", {})
            required = [name for name in required if name != slot.alias]
            required += fields.get("required", ()) if slot.parameter.required else ()
        elif _shown(slot):
            members[slot.alias] = _member(slot, schema)
    described = {"type": "object", "properties": members, "required": required}
    return {"content": {kind: {"schema": described}}, "required": bool(required)}
