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
    is_web_class,
    plan_binding,
)
from buildflow_nb.core.declaring.route_template import parse_template
from buildflow_nb.core.declaring.websocket_parameters import OF_CONNECTION, WEBSOCKET
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.openapi_inputs import BINARY, body_of, parameters_of
from buildflow_nb.runtime.http.openapi_websockets import (
    EXTENSION,
    message_hints,
    socket_entry,
    sockets_in_words,
)
from buildflow_nb.runtime.http.schemas import Schemas

__all__ = ("Described", "describe_api", "one_version_down")

Json = dict[str, Any]
VERSION = "0.1.0"  # of the user's API, which has no version of its own yet
_NULL: Json = {"nullable": True}
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
        item = paths.setdefault(_plain_path(spec.route), {})
        if spec.method == WEBSOCKET:
            item[EXTENSION] = socket_entry(spec, plan, schemas.of)
        else:
            item[spec.method.lower()] = _operation(spec, plan, schemas.of)
    components: Json = {
        "schemas": {**schemas.components, "Error": _DETAIL, "ValidationError": _INVALID}
    }
    schemes = [kind.service_auth_info() for spec in specs for kind in _credentials(spec)]
    if schemes:
        components["securitySchemes"] = {
            name: one for each in schemes for name, one in each.items()
        }
    info = {"title": title, "version": VERSION}
    if said := sockets_in_words(paths):
        info["description"] = said
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": paths,
        "components": components,
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
    if made.get("type") == "null":
        return dict(_NULL)
    options = made.get("anyOf")
    if isinstance(options, list) and _NULL in options:
        left = [option for option in options if option != _NULL]
        del made["anyOf"]
        made |= {"allOf" if len(left) == 1 else "anyOf": left, "nullable": True}
    _lower_values(made)
    if isinstance(made.get("prefixItems"), list):
        made["items"] = {"anyOf": made.pop("prefixItems")}
    return made


def _lower_values(made: Json) -> None:
    """What 3.0 says in other words of a value."""
    if made.get("contentMediaType") == BINARY["contentMediaType"]:
        made |= {"format": "binary"}
        del made["contentMediaType"]
    for bound in ("minimum", "maximum"):
        exclusive = "exclusive" + bound.capitalize()
        if isinstance(made.get(exclusive), (int, float)):
            made |= {bound: made[exclusive], exclusive: True}
    if isinstance(made.get("examples"), list) and made["examples"]:
        made["example"] = made.pop("examples")[0]
    if "const" in made:
        made["enum"] = [made.pop("const")]


def _hints(specs: list[RouteSpec], plans: list[BindingPlan]) -> list[Any]:
    """Every type that the document names."""
    taken = [
        slot.hint
        for plan in plans
        for slot in plan.slots
        if slot.place not in (*OF_CONNECTION, ParameterSource.FILE)
    ]
    for spec, plan in zip(specs, plans, strict=True):
        taken += message_hints(spec, plan) if spec.method == WEBSOCKET else []
    return taken + [spec.processor.returns for spec in specs if _has_model(spec)]


def _has_model(spec: RouteSpec) -> bool:
    typed = not isinstance(spec, CollectorSpec) and not is_web_class(spec.processor.returns)
    return typed and spec.method != WEBSOCKET


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
    parameters = parameters_of(plan, schema)
    if parameters:
        made["parameters"] = parameters
    body = body_of(plan, schema)
    if body:
        made["requestBody"] = body
    made["responses"] = _responses(spec, plan, schema)
    credentials = _credentials(spec)
    if credentials:  # all of them in one requirement: each has to be there
        made["security"] = [
            {
                name: scopes
                for one in credentials
                for name, scopes in one.endpoint_auth_info().items()
            }
        ]
        made["responses"]["401"] = _failure("The credentials are missing or do not count", "Error")
    return made


def _credentials(spec: RouteSpec) -> list[Any]:
    """The classes among its dependencies that read credentials and say which."""
    found = [provider.dependency.dependency_fn for provider in spec.processor.providers]
    return [one for one in found if hasattr(one, "service_auth_info")]


def _responses(spec: RouteSpec, plan: BindingPlan, schema: Callable[[Any], Json]) -> Json:
    returns = spec.processor.returns
    if isinstance(spec, CollectorSpec):
        good, kind = _SUCCESS, "application/json"
    elif returns is bytes:
        good, kind = {"type": "string", "format": "binary"}, "application/octet-stream"
    elif is_web_class(returns):
        good, kind = {}, getattr(returns, "media_type", None) or "*/*"
        good = {"type": "string"} if kind.startswith("text/") else good
    else:
        good, kind = schema(returns), "application/json"
        if spec.processor.many and "type" not in good:
            good = {"type": "array", "items": good}
    made: Json = {"200": {"description": "Success", "content": {kind: {"schema": good}}}}
    if getattr(returns, "__name__", "") == "RedirectResponse":
        made = {"307": {"description": "It is somewhere else"}}
    if plan.slots:
        made["422"] = _failure("The request does not fit", "ValidationError")
    made["500"] = _failure("The function failed", "Error")
    if isinstance(spec, CollectorSpec):
        made["503"] = _failure("The sink cannot be written for now", "Error")
    return made


def _failure(description: str, name: str) -> Json:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
