"""The routes of a running flow as functions, for the next cell: real HTTP, without its words.

    client = app.client()
    client.worst(limit=3)          # GET /worst?limit=3, and what came back, parsed

Requests go to the flow's own server and nowhere else: proxies are not asked. A call has a
deadline. The signature of each function is that of its processor.
"""

from __future__ import annotations

import http.client
import inspect
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from buildflow_nb.core.conversion.encode import json_bytes, to_record
from buildflow_nb.core.credentials import is_secret_class, revealed
from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec
from buildflow_nb.core.declaring.http_binding import (
    BindingPlan,
    ParameterSource,
    Slot,
    plan_binding,
)
from buildflow_nb.core.declaring.route_template import REST
from buildflow_nb.core.errors import BuildFlowError, ConversionError, UsageError
from buildflow_nb.core.options import nearest

__all__ = ("AnswerError", "Client")

CALL_S = 60.0  # seconds for a call, if it says nothing else
LOOP_THREAD = "buildflow-loop"
OK = range(200, 300)


class AnswerError(BuildFlowError):
    """A route answered with an error; `status` and `detail` are what it said."""

    def __init__(self, message: str, status: int, detail: object) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


@dataclass(slots=True)
class _Request:
    """What goes out."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class Client:
    """The collectors and endpoints of a flow, by id; `timeout` is for each call, in seconds."""

    def __init__(
        self,
        routes: Callable[[], Mapping[str, CollectorSpec | EndpointSpec]],
        address: Callable[[], str],
        timeout: float = CALL_S,
    ) -> None:
        self._routes = routes
        self._address = address
        self._timeout = timeout

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        routes = self._routes()
        if name not in routes:
            known = ", ".join(routes) or "none is declared"
            msg = f"no collector or endpoint {name!r}{nearest(name, routes)} (there is: {known})"
            raise AttributeError(msg)
        return _function(routes[name], self._address, self._timeout)

    def __dir__(self) -> list[str]:
        return sorted(self._routes())

    def __repr__(self) -> str:
        lines = [
            f"  {name}{_function(spec, self._address, self._timeout).__signature__}"  # type: ignore[attr-defined]
            f"  {spec.method} {spec.route}"
            for name, spec in self._routes().items()
        ]
        return "\n".join([f"client of {len(lines)} routes", *lines])


def _function(
    spec: CollectorSpec | EndpointSpec, address: Callable[[], str], timeout: float
) -> Callable[..., Any]:
    plan = plan_binding(spec)
    signature = _signature(spec, plan)

    def call(*args: Any, **words: Any) -> Any:
        try:
            bound = signature.bind(*args, **words)
        except TypeError as error:
            msg = f"{spec.id}{signature}: {error}"
            raise UsageError(msg) from error
        request = _request(spec, plan, bound.arguments)
        return _answer(spec, _sent(request, address(), timeout, spec))

    doc = inspect.getdoc(spec.processor.target)
    call.__name__ = call.__qualname__ = spec.id
    call.__doc__ = f"{spec.method} {spec.route}" + (f"\n\n{doc}" if doc else "")
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _signature(spec: CollectorSpec | EndpointSpec, plan: BindingPlan) -> inspect.Signature:
    """The processor's own parameters; the request itself is left out, since a call makes it."""
    target = spec.processor.target
    own = inspect.signature(getattr(target, "process") if spec.processor.is_class else target)  # noqa: B009
    empty = inspect.Signature.empty
    parameters = [
        own.parameters[slot.name].replace(annotation=slot.parameter.hint or empty)
        for slot in plan.slots
        if slot.place is not ParameterSource.REQUEST
    ]
    returns = spec.processor.returns if isinstance(spec, EndpointSpec) else None
    return inspect.Signature(parameters, return_annotation=empty if returns is None else returns)


def _request(
    spec: CollectorSpec | EndpointSpec, plan: BindingPlan, given: Mapping[str, Any]
) -> _Request:
    """The request for these arguments; those that are not given are left to the defaults."""
    request = _Request(spec.method, spec.route)
    body: dict[str, Any] = {}
    for slot in plan.slots:
        if slot.name not in given:
            continue
        try:
            _put(request, slot, given[slot.name], body)
        except (TypeError, ValueError, ConversionError) as error:
            msg = f"{spec.id}: {slot.name!r} cannot be sent: {error}"
            raise UsageError(msg) from error
    if body:
        value = body if plan.keyed else next(iter(body.values()))
        request.body = json_bytes(value)
        request.headers["Content-Type"] = "application/json"
    return request


def _put(request: _Request, slot: Slot, value: Any, body: dict[str, Any]) -> None:
    if slot.place is ParameterSource.PATH:
        request.path = _filled(request.path, slot.name, _text(value))
    elif slot.place is ParameterSource.QUERY:
        if value is not None:
            items = value if slot.repeated else [value]
            request.query += [(slot.name, _text(item)) for item in items]
    elif slot.place is ParameterSource.FIELDS:
        for name, item in to_record(value).items():
            if item is not None:
                items = item if isinstance(item, list) else [item]
                request.query += [(name, _text(one)) for one in items]
    elif slot.place is ParameterSource.RAW:
        request.body = value.encode() if isinstance(value, str) else bytes(value)
        request.headers["Content-Type"] = "application/octet-stream"
    else:
        body[slot.name] = value


def _filled(route: str, name: str, text: str) -> str:
    """The route with one parameter filled in; only a `path` one keeps its slashes."""

    def fill(found: re.Match[str]) -> str:
        return quote(text, safe="/" if found[1] == f":{REST}" else "")

    return re.sub(rf"{{{name}(:\w+)?}}", fill, route)


def _text(value: Any) -> str:
    """A value as text in a path or a query."""
    if is_secret_class(type(value)):
        value = revealed(value)
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list, tuple)):
        return json_bytes(value).decode()
    plain = msgspec.to_builtins(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    kind: str
    body: bytes


def _sent(
    request: _Request, address: str, timeout: float, spec: CollectorSpec | EndpointSpec
) -> _Reply:
    if threading.current_thread().name == LOOP_THREAD:
        msg = "a client blocks, and cannot be called from an async processor; use asyncio.to_thread"
        raise UsageError(msg)
    parts = urlsplit(address)
    host = parts.hostname or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (to reach, not to bind)
    connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    try:
        connection.request(request.method, request.target, request.body, request.headers)
        found = connection.getresponse()
        return _Reply(found.status, found.headers.get_content_type(), found.read())
    except TimeoutError as error:
        msg = f"{request.method} {request.target} of {spec.id!r}: no answer within {timeout:g} s"
        raise TimeoutError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        msg = (
            f"{request.method} {request.target} of {spec.id!r}: {address} does not answer: {error}"
        )
        raise UsageError(msg) from error
    finally:
        connection.close()


def _answer(spec: CollectorSpec | EndpointSpec, reply: _Reply) -> Any:
    parsed = _parsed(reply)
    if reply.status in OK:
        return parsed
    detail = parsed.get("detail", parsed) if isinstance(parsed, dict) else parsed
    said = _said(detail) or http.client.responses.get(reply.status, "")
    msg = f"{spec.method} {spec.route} answered {reply.status}: {said}"
    if reply.status == http.client.INTERNAL_SERVER_ERROR:
        msg += f"; app.failures({spec.id!r}) tells why"
    raise AnswerError(msg, reply.status, detail)


def _parsed(reply: _Reply) -> Any:
    if reply.kind.endswith("json"):
        return json.loads(reply.body) if reply.body else None
    if reply.kind.startswith("text/"):
        return reply.body.decode(errors="replace")
    return reply.body


def _said(detail: object) -> str:
    """An error's detail in one line; of several faults each with its place."""
    if isinstance(detail, list):
        parts = [
            f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg', '')}"
            if isinstance(one, dict)
            else str(one)
            for one in detail
        ]
        return "; ".join(parts)
    text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    return " ".join(text.split())
