"""From a request to the arguments of a function: compiled once, when the route is mounted.

Faults of all parameters are collected into one 422, so that a client can mend them at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from aiohttp import hdrs, web

from buildflow_nb.core.declaring.http_binding import (
    TEXTS,
    BindingPlan,
    ParameterSource,
    is_starlette_class,
    is_upload,
)
from buildflow_nb.core.declaring.websocket_parameters import OF_CONNECTION, WEBSOCKET
from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.runtime.http.errors import Detail, HttpError, details, not_json
from buildflow_nb.runtime.http.request import BoundedRequest, form_fields, in_utf8
from buildflow_nb.runtime.http.takers import REFUSED, Form, Taker

__all__ = ("Arguments", "Binding")

Arguments = tuple[Any, ...]


class Binding:
    """How one function is called with a request."""

    def __init__(self, plan: BindingPlan, call: Callable[..., Any]) -> None:
        self.plan = plan
        self._takers = [Taker(slot, plan.owner) for slot in plan.slots]
        self._body_takers = [t for t in self._takers if t.slot.place is ParameterSource.BODY]
        self._named = _first_keyword_only(call, [slot.name for slot in plan.slots])
        only = plan.slots[0].place if len(plan.slots) == 1 else None
        alone = only is ParameterSource.BODY and not plan.keyed
        requests = plan.at(ParameterSource.REQUEST)
        self.reads_body = plan.reads_body
        self.reads_form = plan.reads_form
        self.read_files = {t.slot.alias for t in self._takers if t.takes_bytes}
        """Names of files that are to be read: what is in them is asked for."""
        self.takes_request = any(not is_starlette_class(slot.kind) for slot in requests)
        self.gives_request = any(is_starlette_class(slot.kind) for slot in requests)
        self._request_of = _request_of() if self.gives_request else None
        self._once = bool(plan.at(ParameterSource.FILE, *OF_CONNECTION))
        self.bind = self._bind_body if alone else self._bind_all

    def invoke(self, call: Callable[..., Any], arguments: Arguments) -> Any:
        """Call with bound arguments."""
        at = self._named
        if at is None:
            return call(*arguments)
        names = [taker.name for taker in self._takers[at:]]
        return call(*arguments[:at], **dict(zip(names, arguments[at:], strict=True)))

    def element(self, arguments: Arguments) -> object:
        """What to show of a call: its one argument, or all by name; the request as text."""
        if len(arguments) == 1 and not self._once:
            return arguments[0]
        if len(arguments) == 1:
            return _shown(arguments[0])
        return {t.name: _shown(a) for t, a in zip(self._takers, arguments, strict=True)}

    def by_name(self, arguments: Arguments) -> Mapping[str, object] | None:
        """The arguments by name, to call with them again; None where one ends with the request."""
        if self._once:
            return None
        return {t.name: a for t, a in zip(self._takers, arguments, strict=True)}

    def for_retry(self, element: object, call: Mapping[str, object] | None) -> Arguments:
        """Arguments for a call that is repeated, maybe with other parameters than it had.

        Raises:
            ConversionError: a value does not fit its parameter.
            UsageError: a parameter is missing, or is the request itself.
        """
        if call is None:
            return self.from_element(element)
        names = {taker.name for taker in self._takers}
        if len(call) == 1 and not set(call) <= names:  # its one parameter has another name now
            return self.from_element(next(iter(call.values())))
        return self.from_element(dict(call))

    def from_element(self, element: object) -> Arguments:
        """Arguments from a dict of parameters, or from the one value that has no default.

        Where all have one, None is no value.

        Raises:
            ConversionError: a value does not fit its parameter.
            UsageError: a parameter is missing, or is the request itself.
        """
        names = {taker.name for taker in self._takers}
        required = [t for t in self._takers if t.slot.parameter.required]
        if element is None and not required:
            element = {}
        by_name = isinstance(element, Mapping) and {t.name for t in required} <= set(element)
        if by_name and set(cast("Any", element)) <= names:
            given = dict(cast("Mapping[str, object]", element))
        elif len(required) == 1 or len(self._takers) == 1:
            given = {(required or self._takers)[0].name: element}
        else:
            wanted = ", ".join(repr(taker.name) for taker in self._takers)
            msg = f"{self.plan.owner} takes {wanted or 'nothing'}; send them as a dict, by name"
            raise UsageError(msg)
        return tuple(self._sent(taker, given) for taker in self._takers)

    def _sent(self, taker: Taker, given: Mapping[str, object]) -> object:
        if taker.name not in given:
            return taker.slot.parameter.absent()
        if taker.slot.place is ParameterSource.REQUEST:
            msg = f"{self.plan.owner} takes the request itself; call its route over HTTP instead"
            raise UsageError(msg)
        value = given[taker.name]
        if taker.slot.place is ParameterSource.FILE:
            from buildflow_nb.runtime.http.forms import as_files  # loads starlette

            return as_files(value, as_bytes=taker.takes_bytes, listed=taker.slot.repeated)
        in_text = taker.slot.place in (*TEXTS, ParameterSource.PATH) and not taker.slot.is_record
        if isinstance(value, str) and in_text:
            try:
                return taker.text(value)
            except REFUSED as error:
                msg = f"{taker.name}: {error}"
                raise ConversionError(msg) from error
        return taker.value(value)

    def _bind_body(
        self, request: BoundedRequest, _path: Mapping[str, str], body: bytes
    ) -> Arguments:
        """The common case, without a loop: one parameter, from the body."""
        return (self._whole(self._takers[0], request, body),)

    def _bind_all(self, request: BoundedRequest, path: Mapping[str, str], body: bytes) -> Arguments:
        values: list[object] = []
        faults: list[Detail] = []
        parts = self._parts(request, body) if self.plan.keyed else None
        for taker in self._takers:
            try:
                values.append(self._take(taker, request, path, body, parts))
            except HttpError as fault:
                if not isinstance(fault.detail, list):
                    raise
                faults += fault.detail
        if faults:
            raise HttpError(422, faults)
        return tuple(values)

    def _take(
        self,
        taker: Taker,
        request: BoundedRequest,
        path: Mapping[str, str],
        body: bytes,
        parts: Mapping[str, bytes] | None,
    ) -> object:
        place, slot = taker.slot.place, taker.slot
        if place is ParameterSource.PATH:
            return taker.converted(path[slot.alias], "path")
        if place is ParameterSource.QUERY:
            return taker.from_texts(request.query.getall(slot.alias, ()), "query")
        if slot.may_be_body:
            return self._from_body(taker, request, body, parts)
        return self._from_elsewhere(taker, request, path)

    def _from_elsewhere(
        self, taker: Taker, request: BoundedRequest, path: Mapping[str, str]
    ) -> object:
        place = taker.slot.place
        if place is ParameterSource.REQUEST:
            if self._request_of is not None and is_starlette_class(taker.slot.kind):
                return self._request_of(request, path)
            return request
        if place is ParameterSource.FORM:
            return taker.from_form(request.form)
        if place is ParameterSource.FILE:
            return taker.from_files(request.form)
        return self._from_head(taker, request)

    def _from_head(self, taker: Taker, request: BoundedRequest) -> object:
        place = taker.slot.place
        if place is ParameterSource.FIELDS:
            return taker.from_fields(request.query, "query")
        if place is ParameterSource.HEADER:
            return taker.from_headers(request.headers)
        if place is ParameterSource.SOCKET:
            return None if request.socket is None else request.socket.websocket
        if place is ParameterSource.MESSAGES:
            return request.socket
        from buildflow_nb.runtime.http.forms import cookies_of  # loads starlette

        return taker.from_cookies(cookies_of(request))

    def _from_body(
        self,
        taker: Taker,
        request: web.BaseRequest,
        body: bytes,
        parts: Mapping[str, bytes] | None,
    ) -> object:
        place, parameter = taker.slot.place, taker.slot.parameter
        if place is ParameterSource.RAW:
            return body if body or parameter.required else parameter.absent()
        if place is ParameterSource.FIELDS and not body:
            return taker.from_fields(request.query, "query")
        if parts is None:
            return self._whole(taker, request, body)
        alias = taker.slot.alias
        if alias not in parts:
            return taker.absent("body", alias)
        return taker.decoded(parts[alias], ["body", alias])

    def _whole(self, taker: Taker, request: web.BaseRequest, body: bytes) -> object:
        if not body:
            return taker.absent()
        body = in_utf8(request, body)
        try:
            return taker.json(body)
        except REFUSED as error:
            form = form_fields(request, body) if hdrs.CONTENT_TYPE in request.headers else None
            if form is not None and taker.from_rows:
                return taker.from_fields(Form(form), "body")
            raise _refused(error, body, ["body"]) from error

    def _parts(self, request: web.BaseRequest, body: bytes) -> Mapping[str, bytes]:
        """The body's members, still in JSON, by name."""
        if not body:
            return {}
        body = in_utf8(request, body)
        try:
            found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except REFUSED as error:
            raise HttpError(422, _refused(error, body, ["body"]).detail) from error
        return {name: bytes(raw) for name, raw in found.items()}


def _request_of() -> Callable[[BoundedRequest, Mapping[str, str]], object]:
    from buildflow_nb.runtime.http.asgi import request_of  # loads starlette

    return request_of


def _refused(error: BaseException, body: bytes, place: list[str | int]) -> HttpError:
    cause = error.__cause__ or error
    malformed = isinstance(cause, (msgspec.DecodeError, UnicodeError, RecursionError))
    if malformed and not isinstance(cause, msgspec.ValidationError):
        return HttpError(422, [not_json(cast("Exception", cause), body)])
    return HttpError(422, details(error, place))


def _shown(value: object) -> object:
    if isinstance(value, web.BaseRequest):
        return f"{value.method} {value.path_qs}"
    if is_upload(type(value)):
        return f"file {value.filename!r}, {value.size} bytes"  # type: ignore[attr-defined]
    if is_starlette_class(type(value)) and hasattr(value, "url"):
        url, method = value.url, getattr(value, "method", WEBSOCKET)
        return f"{method} {url.path}" + (f"?{url.query}" if url.query else "")
    if isinstance(value, list) and any(is_upload(type(one)) for one in value):
        return [_shown(one) for one in value]
    return value


def _first_keyword_only(call: Callable[..., Any], names: list[str]) -> int | None:
    """Where the parameters start that can only be given by name."""
    kinds = inspect.signature(call).parameters
    for at, name in enumerate(names):
        if name in kinds and kinds[name].kind is inspect.Parameter.KEYWORD_ONLY:
            return at
    return None
