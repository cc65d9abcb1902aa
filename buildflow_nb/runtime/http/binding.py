"""From a request to the arguments of a function: compiled once, when the route is mounted.

Faults of all parameters are collected into one 422, so that a client can mend them at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import msgspec
from aiohttp import hdrs, web

from buildflow_nb.core.conversion.annotations import is_unknown, record_hints
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.declaring.http_binding import (
    BindingPlan,
    ParameterSource,
    Slot,
    compile_text,
)
from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.http.errors import Detail, HttpError, details, missing, not_json
from buildflow_nb.runtime.http.request import form_fields, in_utf8

__all__ = ("Arguments", "Binding")

Arguments = tuple[Any, ...]
_REFUSED = (ValueError, TypeError, ConversionError, RecursionError)


class Fields(Protocol):
    """Texts by key, several for a key that is repeated: a query or a form."""

    def keys(self) -> Iterable[str]:
        """The keys."""
        ...

    def getall(self, key: str) -> list[str]:
        """Every value of a key."""
        ...


class Form(dict[str, list[str]]):
    """A form's fields."""

    def getall(self, key: str) -> list[str]:
        """Every value of a key."""
        return self[key]


class _Taker:
    """Makes one parameter's value out of text, fields or JSON."""

    def __init__(self, slot: Slot, owner: str) -> None:
        self.slot = slot
        self.name = slot.name
        where = f"{owner}, parameter {slot.name!r}"
        hint = slot.hint
        plain = is_unknown(hint)
        self.text: Callable[[Any], object] = _as_is
        self.row: Callable[[Any], object] = _as_is
        self.json: Callable[[bytes], object] = msgspec.json.decode
        self.value: Callable[[Any], object] = compile_decoder(hint, Wire.OBJECT, where).one
        if slot.place in (ParameterSource.PATH, ParameterSource.QUERY):
            self.text = compile_text(hint, where)
        elif slot.place is ParameterSource.FIELDS or (
            slot.place is ParameterSource.BODY and record_hints(hint)
        ):
            self.row = compile_decoder(hint, Wire.ROW, where).one
        if slot.place in (ParameterSource.BODY, ParameterSource.FIELDS) and not plain:
            self.json = _json_decoder(hint, where)
        self.lists = {
            name for name, kind in record_hints(hint).items() if _listed(kind)
        }  # fields of which a query may hold several

    def absent(self, *place: str | int) -> object:
        """The default.

        Raises:
            HttpError: there is none.
        """
        if self.slot.parameter.required:
            raise HttpError(422, [missing(*(place or ("body",)))])
        return self.slot.parameter.default

    def from_fields(self, fields: Fields, place: str) -> object:
        """A record made of a query's or a form's fields; fields that it does not have are left."""
        keys = list(fields.keys())
        if not keys and not self.slot.parameter.required:
            return self.slot.parameter.default
        row = {
            key: msgspec.json.encode(fields.getall(key)).decode()
            if key in self.lists
            else fields.getall(key)[-1]
            for key in keys
        }
        try:
            return self.row(row)
        except _REFUSED as error:
            raise HttpError(422, details(error, [place], text=True)) from error


class Binding:
    """How one function is called with a request."""

    def __init__(self, plan: BindingPlan, call: Callable[..., Any]) -> None:
        self.plan = plan
        self._takers = [_Taker(slot, plan.owner) for slot in plan.slots]
        self._body_takers = [t for t in self._takers if t.slot.place is ParameterSource.BODY]
        self._named = _first_keyword_only(call, [slot.name for slot in plan.slots])
        only = plan.slots[0].place if len(plan.slots) == 1 else None
        self.reads_body = plan.reads_body
        self.takes_request = bool(plan.at(ParameterSource.REQUEST))
        self.bind = self._bind_body if only is ParameterSource.BODY else self._bind_all

    def invoke(self, call: Callable[..., Any], arguments: Arguments) -> Any:
        """Call with bound arguments."""
        at = self._named
        if at is None:
            return call(*arguments)
        names = [taker.name for taker in self._takers[at:]]
        return call(*arguments[:at], **dict(zip(names, arguments[at:], strict=True)))

    def element(self, arguments: Arguments) -> object:
        """What to show of a call: its one argument, or all by name; the request as text."""
        if len(arguments) == 1:
            return _shown(arguments[0])
        return {t.name: _shown(a) for t, a in zip(self._takers, arguments, strict=True)}

    def by_name(self, arguments: Arguments) -> Mapping[str, object] | None:
        """The arguments by name, to call with them again; None where one is the request itself."""
        if self.takes_request:
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

        Raises:
            ConversionError: a value does not fit its parameter.
            UsageError: a parameter is missing, or is the request itself.
        """
        names = {taker.name for taker in self._takers}
        required = [t for t in self._takers if t.slot.parameter.required]
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

    def _sent(self, taker: _Taker, given: Mapping[str, object]) -> object:
        if taker.name not in given:
            return taker.slot.parameter.default
        if taker.slot.place is ParameterSource.REQUEST:
            msg = f"{self.plan.owner} takes the request itself; call its route over HTTP instead"
            raise UsageError(msg)
        value = given[taker.name]
        if isinstance(value, str) and taker.slot.place in (
            ParameterSource.PATH,
            ParameterSource.QUERY,
        ):
            try:
                return taker.text(value)
            except _REFUSED as error:
                msg = f"{taker.name}: {error}"
                raise ConversionError(msg) from error
        return taker.value(value)

    def _bind_body(
        self, request: web.BaseRequest, _path: Mapping[str, str], body: bytes
    ) -> Arguments:
        """The common case, without a loop: one parameter, from the body."""
        return (self._whole(self._takers[0], request, body),)

    def _bind_all(
        self, request: web.BaseRequest, path: Mapping[str, str], body: bytes
    ) -> Arguments:
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
        taker: _Taker,
        request: web.BaseRequest,
        path: Mapping[str, str],
        body: bytes,
        parts: Mapping[str, bytes] | None,
    ) -> object:
        place = taker.slot.place
        if place is ParameterSource.PATH:
            return _converted(taker, path[taker.name], "path")
        if place is ParameterSource.QUERY:
            return self._queried(taker, request)
        if place is ParameterSource.REQUEST:
            return request
        return self._from_body(taker, request, body, parts)

    def _from_body(
        self,
        taker: _Taker,
        request: web.BaseRequest,
        body: bytes,
        parts: Mapping[str, bytes] | None,
    ) -> object:
        if taker.slot.place is ParameterSource.RAW:
            return body if body or taker.slot.parameter.required else taker.slot.parameter.default
        if taker.slot.place is ParameterSource.FIELDS and not body:
            return taker.from_fields(request.query, "query")
        if parts is None:
            return self._whole(taker, request, body)
        if taker.name not in parts:
            return taker.absent("body", taker.name)
        return _decoded(taker, parts[taker.name], ["body", taker.name])

    def _queried(self, taker: _Taker, request: web.BaseRequest) -> object:
        found = request.query.getall(taker.name, ())
        if not found:
            return taker.absent("query", taker.name)
        return _converted(taker, list(found) if taker.slot.repeated else found[-1], "query")

    def _whole(self, taker: _Taker, request: web.BaseRequest, body: bytes) -> object:
        if not body:
            return taker.absent()
        body = in_utf8(request, body)
        try:
            return taker.json(body)
        except _REFUSED as error:
            form = form_fields(request, body) if hdrs.CONTENT_TYPE in request.headers else None
            if form is not None and taker.row is not _as_is:
                return taker.from_fields(Form(form), "body")
            raise _refused(error, body, ["body"]) from error

    def _parts(self, request: web.BaseRequest, body: bytes) -> Mapping[str, bytes]:
        """The body's members, still in JSON, by name."""
        if not body:
            return {}
        body = in_utf8(request, body)
        try:
            found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except _REFUSED as error:
            raise HttpError(422, _refused(error, body, ["body"]).detail) from error
        return {name: bytes(raw) for name, raw in found.items()}


def _as_is(value: Any) -> object:
    return value


def _listed(kind: object) -> bool:
    return getattr(kind, "__origin__", kind) in (list, set, tuple, frozenset)


def _json_decoder(hint: Any, where: str) -> Callable[[bytes], object]:
    return compile_decoder(hint, Wire.BYTES, where).one


def _converted(taker: _Taker, text: str | list[str], place: str) -> object:
    try:
        return taker.text(text)
    except _REFUSED as error:
        raise HttpError(422, details(error, [place, taker.name], text=True)) from error


def _decoded(taker: _Taker, part: bytes, place: list[str | int]) -> object:
    try:
        return taker.json(part)
    except _REFUSED as error:
        raise HttpError(422, details(error, place)) from error


def _refused(error: BaseException, body: bytes, place: list[str | int]) -> HttpError:
    cause = error.__cause__ or error
    malformed = isinstance(cause, (msgspec.DecodeError, UnicodeError, RecursionError))
    if malformed and not isinstance(cause, msgspec.ValidationError):
        return HttpError(422, [not_json(cast("Exception", cause), body)])
    return HttpError(422, details(error, place))


def _shown(value: object) -> object:
    if isinstance(value, web.BaseRequest):
        return f"{value.method} {value.path_qs}"
    return value


def _first_keyword_only(call: Callable[..., Any], names: list[str]) -> int | None:
    """Where the parameters start that can only be given by name."""
    kinds = inspect.signature(call).parameters
    for at, name in enumerate(names):
        if name in kinds and kinds[name].kind is inspect.Parameter.KEYWORD_ONLY:
            return at
    return None
