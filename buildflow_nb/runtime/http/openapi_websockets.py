"""WebSocket routes in an OpenAPI document, which has no words of its own for them.

Each is an extension of its path, `x-websocket`: parameters as an operation has them, and what the
messages are. The description of the document tells all of them in words, so that the page of the
documentation lists them, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from buildflow_nb.core.declaring.http_binding import BindingPlan, ParameterSource
from buildflow_nb.core.declaring.websocket_parameters import message_type
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.openapi_inputs import parameters_of

__all__ = ("EXTENSION", "message_hints", "socket_entry", "sockets_in_words")

EXTENSION = "x-websocket"
Json = dict[str, Any]


def message_hints(spec: RouteSpec, plan: BindingPlan) -> list[Any]:
    """The types of messages that the document names."""
    taken = [message_type(slot.kind) for slot in plan.at(ParameterSource.MESSAGES)]
    return taken + ([message_type(spec.processor.returns)] if spec.processor.many else [])


def socket_entry(spec: RouteSpec, plan: BindingPlan, schema: Callable[[Any], Json]) -> Json:
    """What the document says of one WebSocket route."""
    first, _, rest = (inspect.getdoc(spec.processor.target) or "").partition("\n")
    made: Json = {"operationId": spec.id, "summary": first or spec.id.replace("_", " ")}
    if rest.strip():
        made["description"] = rest.strip()
    parameters = parameters_of(plan, schema)
    if parameters:
        made["parameters"] = parameters
    for slot in plan.at(ParameterSource.MESSAGES):
        made["receives"] = schema(message_type(slot.kind))
    if spec.processor.many:
        made["sends"] = schema(message_type(spec.processor.returns))
    return made


def sockets_in_words(paths: Mapping[str, Json]) -> str:
    """The WebSocket routes of a document in Markdown; "" where there is none."""
    lines = [
        f"* `{path}`: {entry['summary']}{_messages(entry)}"
        for path, entry in sorted(_entries(paths))
    ]
    return "\n".join(["WebSockets (`ws://`):", "", *lines]) if lines else ""


def _entries(paths: Mapping[str, Json]) -> Iterable[tuple[str, Json]]:
    return ((path, item[EXTENSION]) for path, item in paths.items() if EXTENSION in item)


def _messages(entry: Json) -> str:
    said = [
        f"{word} {_name(entry[key])}"
        for key, word in (("receives", "takes"), ("sends", "sends"))
        if key in entry
    ]
    return f" ({', '.join(said)})" if said else ""


def _name(schema: Json) -> str:
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    return f"`{named or schema.get('type', 'anything')}`"
