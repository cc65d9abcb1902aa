"""The OpenAPI 3.1 document of a server: what each route takes and gives, from its annotations.

The schemas of dataclasses, Structs, TypedDicts and plain types are msgspec's, those of pydantic
models pydantic's; both end up in `components`. A type that neither can describe is left open
(`{}`) rather than missing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from buildflow_nb.core.declaring.flow_spec import CollectorSpec
from buildflow_nb.core.declaring.http_binding import (
    BindingPlan,
    ParameterSource,
    Slot,
    is_web_class,
    plan_binding,
)
from buildflow_nb.core.declaring.route_template import parse_template
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.schemas import Schemas

__all__ = ("Described", "describe_api", "one_version_down")

Json = dict[str, Any]
VERSION = "0.1.0"  # of the user's API, which has no version of its own yet
_DETAIL: Json = {"type": "object", "properties": {"detail": {}}, "required": ["detail"]}
_INVALID: Json = {
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                    "msg": {"type": "string"},
                    "type": {"type": "string"},
                },
                "required": ["loc", "msg", "type"],
            },
        }
    },
}
_SUCCESS: Json = {
    "type": "object",
    "properties": {"success": {"type": "boolean"}},
    "required": ["success"],
}


class Described(Protocol):
    """A route to be described."""

    @property
    def spec(self) -> RouteSpec:
        """What was declared."""
        ...


def describe_api(title: str, routes: Iterable[Described]) -> Json:
    """The document."""
    specs = [route.spec for route in routes]
    plans = [plan_binding(spec) for spec in specs]
    schemas = Schemas(_hints(specs, plans))
    paths: dict[str, Json] = {}
    for spec, plan in zip(specs, plans, strict=True):
        operation = _operation(spec, plan, schemas.of)
        paths.setdefault(_plain_path(spec.route), {})[spec.method.lower()] = operation
    components = {**schemas.components, "Error": _DETAIL, "ValidationError": _INVALID}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION},
        "paths": paths,
        "components": {"schemas": components},
    }


def one_version_down(document: Json) -> Json:
    """The same in OpenAPI 3.0, as far as a viewer needs it."""
    lowered = _lowered(document)
    return {**lowered, "openapi": "3.0.3"} if isinstance(lowered, dict) else {}


def _lowered(node: Any) -> Any:
    if isinstance(node, list):
        return [_lowered(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _lowered(value) for key, value in node.items()}
    options = made.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        left = [option for option in options if option != {"type": "null"}]
        del made["anyOf"]
        made |= {"allOf" if len(left) == 1 else "anyOf": left, "nullable": True}
    if isinstance(made.get("prefixItems"), list):
        made["items"] = {"anyOf": made.pop("prefixItems")}
    if "const" in made:
        made["enum"] = [made.pop("const")]
    return made


def _hints(specs: list[RouteSpec], plans: list[BindingPlan]) -> list[Any]:
    """Every type that the document names."""
    taken = [
        slot.hint
        for plan in plans
        for slot in plan.slots
        if slot.place is not ParameterSource.REQUEST
    ]
    return taken + [spec.processor.returns for spec in specs if _has_model(spec)]


def _has_model(spec: RouteSpec) -> bool:
    return not isinstance(spec, CollectorSpec) and not is_web_class(spec.processor.returns)


def _plain_path(route: str) -> str:
    """The route without kinds: `/files/{path:path}` is `/files/{path}` to OpenAPI."""
    names = parse_template(route, "route").names
    for name in names:
        start = route.index("{" + name)
        route = route[: start + len(name) + 1] + route[route.index("}", start) :]
    return route


def _operation(spec: RouteSpec, plan: BindingPlan, schema: Callable[[Any], Json]) -> Json:
    first, _, rest = (inspect.getdoc(spec.processor.target) or "").partition("\n")
    made: Json = {"operationId": spec.id, "summary": first or spec.id.replace("_", " ")}
    if rest.strip():
        made["description"] = rest.strip()
    made["tags"] = [getattr(spec, "service_id", "collectors")]
    parameters = [
        _parameter(slot, schema)
        for slot in plan.at(ParameterSource.PATH, ParameterSource.QUERY, ParameterSource.FIELDS)
    ]
    if parameters:
        made["parameters"] = [one for several in parameters for one in several]
    body = _body(plan, schema)
    if body:
        made["requestBody"] = body
    made["responses"] = _responses(spec, plan, schema)
    return made


def _parameter(slot: Slot, schema: Callable[[Any], Json]) -> list[Json]:
    if slot.place is ParameterSource.FIELDS:
        return _field_parameters(slot, schema)
    in_path = slot.place is ParameterSource.PATH
    described = dict(schema(slot.hint)) or {"type": "string"}
    default = slot.parameter.default
    if not slot.parameter.required and isinstance(default, (str, int, float)):
        described["default"] = default
    return [
        {
            "name": slot.name,
            "in": "path" if in_path else "query",
            "required": in_path or slot.parameter.required,
            "schema": described,
        }
    ]


def _field_parameters(slot: Slot, schema: Callable[[Any], Json]) -> list[Json]:
    """A record that is made of the query: its fields."""
    described = schema(("fields", slot.hint))
    required = described.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in described.get("properties", {}).items()
    ]


def _body(plan: BindingPlan, schema: Callable[[Any], Json]) -> Json | None:
    raw, parts = plan.at(ParameterSource.RAW), plan.at(ParameterSource.BODY)
    if raw:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        return {"content": content, "required": raw[0].parameter.required}
    if not parts:
        return None
    required = [slot.name for slot in parts if slot.parameter.required]
    if len(parts) == 1:
        described = schema(parts[0].hint)
    else:
        described = {
            "type": "object",
            "properties": {slot.name: schema(slot.hint) for slot in parts},
            "required": required,
        }
    return {"content": {"application/json": {"schema": described}}, "required": bool(required)}


def _responses(spec: RouteSpec, plan: BindingPlan, schema: Callable[[Any], Json]) -> Json:
    returns = spec.processor.returns
    if isinstance(spec, CollectorSpec):
        good, kind = _SUCCESS, "application/json"
    elif returns is bytes:
        good, kind = {"type": "string", "format": "binary"}, "application/octet-stream"
    elif is_web_class(returns):
        good, kind = {}, "*/*"
    else:
        good, kind = schema(returns), "application/json"
        if spec.processor.many and "type" not in good:
            good = {"type": "array", "items": good}
    made = {"200": {"description": "Success", "content": {kind: {"schema": good}}}}
    if plan.slots:
        made["422"] = _failure("The request does not fit", "ValidationError")
    made["500"] = _failure("The function failed", "Error")
    if isinstance(spec, CollectorSpec):
        made["503"] = _failure("The sink cannot be written for now", "Error")
    return made


def _failure(description: str, name: str) -> Json:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
