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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
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
from buildflow_nb.core.declaring.websocket_parameters import (
    OF_CONNECTION,
    WEBSOCKET,
    message_type,
)
from buildflow_nb.core.errors import BuildFlowError, ConversionError, UsageError
from buildflow_nb.core.options import nearest
from buildflow_nb.flow.multipart import File, file_of, multipart
from buildflow_nb.flow.websocket_client import SocketClient

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
    body: bytes | Iterable[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[tuple[str, str]] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, File]] = field(default_factory=list)

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
        if spec.method == WEBSOCKET:
            return _socket(request, address(), timeout, spec)
        return _answer(spec, _sent(request, address(), timeout, spec))

    doc = inspect.getdoc(spec.processor.target)
    call.__name__ = call.__qualname__ = spec.id
    call.__doc__ = f"{spec.method} {spec.route}" + (f"\n\n{doc}" if doc else "")
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _socket(
    request: _Request, address: str, timeout: float, spec: CollectorSpec | EndpointSpec
) -> SocketClient:
    """The WebSocket of a route; what is yielded by its function comes parsed."""
    typed = spec.processor.many and message_type(spec.processor.returns) not in (str, bytes)
    return SocketClient(
        f"ws{_reachable(address).removeprefix('http')}{request.target}",
        request.headers,
        name=f"{spec.method} {spec.route}",
        parse=typed,
        timeout=timeout,
    )


def _signature(spec: CollectorSpec | EndpointSpec, plan: BindingPlan) -> inspect.Signature:
    """The processor's own parameters; the request itself is left out, since a call makes it."""
    target = spec.processor.target
    own = inspect.signature(getattr(target, "process") if spec.processor.is_class else target)  # noqa: B009
    empty = inspect.Signature.empty
    parameters = [
        _shown(own.parameters[slot.name], slot, empty)
        for slot in plan.slots
        if slot.place not in OF_CONNECTION
    ]
    returns = spec.processor.returns if isinstance(spec, EndpointSpec) else None
    annotation = empty if returns is None else returns
    try:
        return inspect.Signature(parameters, return_annotation=annotation)
    except ValueError:  # one whose mark has no default stands behind one that has
        named = [one.replace(kind=one.KEYWORD_ONLY) for one in parameters]
        return inspect.Signature(named, return_annotation=annotation)


def _shown(parameter: inspect.Parameter, slot: Slot, empty: Any) -> inspect.Parameter:
    """A parameter without its mark, which is for the server."""
    made = parameter.replace(annotation=slot.parameter.hint or empty)
    if slot.parameter.mark is None:
        return made
    default = empty if slot.parameter.required else slot.parameter.absent()
    return made.replace(default=default)


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
        except (TypeError, ValueError, OSError, ConversionError) as error:
            msg = f"{spec.id}: {slot.name!r} cannot be sent: {error}"
            raise UsageError(msg) from error
    if body:
        value = body if plan.keyed else next(iter(body.values()))
        request.body = json_bytes(value)
        request.headers["Content-Type"] = "application/json"
    if plan.at(ParameterSource.FILE):
        request.body, headers = multipart(request.fields, request.files)
        request.headers |= headers
    elif plan.at(ParameterSource.FORM):
        request.body = urlencode(request.fields).encode()
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    if request.cookies:
        encode = SimpleCookie().value_encode
        shown = [f"{name}={encode(value)[1]}" for name, value in request.cookies]
        request.headers["Cookie"] = "; ".join(shown).encode().decode("latin-1")
    return request


def _put(request: _Request, slot: Slot, value: Any, body: dict[str, Any]) -> None:
    place = slot.place
    if place is ParameterSource.PATH:
        request.path = _filled(request.path, slot.alias, _text(value))
    elif place is ParameterSource.RAW:
        request.body = value.encode() if isinstance(value, str) else bytes(value)
        request.headers["Content-Type"] = "application/octet-stream"
    elif place is ParameterSource.BODY:
        body[slot.alias] = value
    elif place is ParameterSource.FILE:
        given = value if slot.repeated else [value]
        request.files += [(slot.alias, file_of(one)) for one in given or () if one is not None]
    elif place is ParameterSource.HEADER:
        for name, text in _texts(slot, value):
            request.headers[name] = text.encode().decode("latin-1")  # UTF-8, as it is sent
    else:
        texts = {ParameterSource.COOKIE: request.cookies, ParameterSource.FORM: request.fields}
        texts.get(place, request.query).extend(_texts(slot, value))


def _texts(slot: Slot, value: Any) -> list[tuple[str, str]]:
    """A value by name, as it is written in a query, a form, headers or cookies."""
    if value is None:
        return []
    if slot.place is not ParameterSource.FIELDS and not slot.is_record:
        return [(slot.alias, _text(one)) for one in (value if slot.repeated else [value])]
    dashed = slot.place is ParameterSource.HEADER
    return [
        (name.replace("_", "-") if dashed else name, _text(one))
        for name, item in to_record(value).items()
        if item is not None
        for one in (item if isinstance(item, list) else [item])
    ]


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
    location: str | None = None


def _sent(
    request: _Request, address: str, timeout: float, spec: CollectorSpec | EndpointSpec
) -> _Reply:
    if threading.current_thread().name == LOOP_THREAD:
        msg = "a client blocks, and cannot be called from an async processor; use asyncio.to_thread"
        raise UsageError(msg)
    parts = urlsplit(_reachable(address))
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(request.method, request.target, request.body, request.headers)
        found = connection.getresponse()
        return _Reply(
            found.status, found.headers.get_content_type(), found.read(), found.headers["Location"]
        )
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


def _reachable(address: str) -> str:
    """The address of a server on this machine; those that stand for all of its are none."""
    for bound, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        address = address.replace(bound, here)
    return address


def _answer(spec: CollectorSpec | EndpointSpec, reply: _Reply) -> Any:
    parsed = _parsed(reply)
    if reply.status in OK:
        return parsed
    detail = parsed.get("detail", parsed) if isinstance(parsed, dict) else parsed
    said = _said(detail) or http.client.responses.get(reply.status, "")
    if reply.location is not None:
        said, detail = f"it is at {reply.location}", reply.location
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
