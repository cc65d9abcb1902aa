"""From what a function returns, or from what went wrong, to the response.

A result becomes JSON as a sink would write it (a NaN, which JSON lacks, is a failure), `bytes` go
out as they are, and a response made by the user passes through. Errors are `{"detail": …}`; what
failed inside a function never reaches the client.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from typing_extensions import TypeIs

from buildflow_nb.core.conversion.annotations import (
    class_of,
    element_of,
    is_pydantic,
    is_unknown,
    optional_of,
    type_name,
)
from buildflow_nb.core.conversion.encode import compile_encoder, json_bytes
from buildflow_nb.core.conversion.finite import refuse_non_finite
from buildflow_nb.core.declaring.http_binding import is_web_class
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.http.errors import HttpError

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = (
    "BODYLESS",
    "BROKEN",
    "FAILED",
    "ONE_WRITE",
    "SERVER_NAME",
    "compile_answer",
    "error_response",
    "fault_of",
    "http_date",
    "is_starlette_response",
    "json_response",
    "own_answer",
)

BROKEN = "the body is broken: it cannot be decoded"
FAILED = "Internal Server Error"  # all that a client learns of what failed inside
SERVER_NAME = "buildflow"  # no versions: they help nobody but an attacker
BODYLESS = (204, 304)  # RFC 9112 section 6.3
ONE_WRITE = 64 * 1024  # bytes of a body that is copied behind its head; longer ones are not
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: buildflow\r\n"
    b"Content-Length: %d\r\nDate: %s\r\n\r\n"
)
_CONTAINERS = (list, tuple, set, frozenset, dict)
_JSON = {hdrs.CONTENT_TYPE: "application/json", hdrs.SERVER: SERVER_NAME}
_BYTES = {hdrs.CONTENT_TYPE: "application/octet-stream", hdrs.SERVER: SERVER_NAME}

Answer = Callable[[Any], web.StreamResponse]
T = TypeVar("T")


class JsonAnswer(web.Response):
    """A success in JSON, sent in one write where nothing is special about the request.

    The bytes are those that aiohttp would send, at a third of the price. Everything else (HEAD,
    HTTP/1.0, a connection to be closed, a long body) goes aiohttp's way. So does its making: most
    are sent before anybody asks for more than their status.
    """

    _status = HTTPStatus.OK.value

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __getattr__(self, name: str) -> Any:
        """Whatever aiohttp's own constructor sets, once it is asked for."""
        if name.startswith("__") or "_headers" in self.__dict__:
            raise AttributeError(name)
        super().__init__(body=self._body, headers=_JSON)
        return getattr(self, name)

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send, or begin to."""
        body = cast("bytes", self._body)
        transport = request.transport
        plain = request.keep_alive and request.version == HttpVersion11 and request.method != "HEAD"
        if not plain or transport is None or self.prepared or len(body) > ONE_WRITE:
            return await super().prepare(request)
        sent = _HEAD % (len(body), http_date(int(time.time()))) + body
        transport.write(sent)
        request.writer.output_size += len(sent)
        self._keep_alive = self._eof_sent = True
        return None


@lru_cache(maxsize=2)
def http_date(second: int) -> bytes:
    """A time of the clock as headers have it."""
    return formatdate(second, usegmt=True).encode()


def json_response(body: bytes, status: int = 200) -> web.Response:
    """JSON that is already encoded."""
    if status == HTTPStatus.OK:
        return JsonAnswer(body)
    return web.Response(body=body, status=status, headers=_JSON)


def error_response(
    status: int, detail: object, headers: Mapping[str, str] | None = None, *, close: bool = False
) -> web.Response:
    """`{"detail": …}`, where the status has a body; with `close` the connection ends after it."""
    if status in BODYLESS:
        response = web.Response(status=status, headers={hdrs.SERVER: SERVER_NAME})
    else:
        response = json_response(msgspec.json.encode({"detail": detail}), status)
    if headers:
        response.headers.update(headers)
    if close:
        response.force_close()
    return response


def fault_of(error: BaseException) -> HttpError | None:
    """The answer that an exception of the user's asks for: aiohttp's, FastAPI's and Starlette's."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, web.RequestPayloadError):  # of a body that the user's code reads
        return HttpError(400, BROKEN, close=True)
    if isinstance(error, web.HTTPException):
        text = error.text
        plain = text is None or text == f"{error.status}: {error.reason}"
        headers = {
            name: value
            for name, value in error.headers.items()
            if name not in (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH)
        }
        return HttpError(error.status, error.reason if plain else str(text), headers)
    status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
    if isinstance(status, int) and 100 <= status <= 599 and detail is not None:  # noqa: PLR2004
        return HttpError(status, detail, getattr(error, "headers", None))
    return None


def is_starlette_response(result: object) -> TypeIs[Response]:
    """Whether it is a response of starlette's, or of a class made from one."""
    loaded: Any = sys.modules.get("starlette.responses")
    return loaded is not None and isinstance(result, loaded.Response)


def own_answer(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """A response that the user made, made safe to send.

    Raises:
        ConversionError: it was sent before, to another request.
    """
    if isinstance(response, web.HTTPException):
        fault = cast("HttpError", fault_of(response))
        return error_response(fault.status, fault.detail, fault.headers)
    if not response.prepared:
        response.headers.setdefault(hdrs.SERVER, SERVER_NAME)
    elif request.writer.output_size == 0:
        msg = "a response was returned that was sent before; make a new one for each request"
        raise ConversionError(msg)
    return response


def compile_answer(hint: Any, owner: str, *, many: bool) -> Answer:
    """Make the function from a result to its response; `many` results come as a list.

    It raises `ConversionError` for a result of another type than declared.
    """
    check = _compile_many(hint, owner) if many else _compile_check(hint, owner)
    expected = None if many else class_of(optional_of(hint)[0])
    direct = _is_direct(expected)
    encode = msgspec.json.Encoder().encode

    def answer(result: Any) -> web.StreamResponse:
        if direct and type(result) is expected:
            try:
                body = encode(result)
            except Exception:  # noqa: BLE001  (something inside that msgspec does not know)
                return JsonAnswer(_json(result, owner))
            if b"null" in body:
                _told(refuse_non_finite, result, owner)
            return JsonAnswer(body)
        check(result)
        if type(result) is bytes:
            return web.Response(body=result, headers=_BYTES)
        return json_response(_json(result, owner))

    return answer


def _is_direct(expected: type | None) -> bool:
    """Whether msgspec alone says what instances look like."""
    fields = hasattr(expected, "__dataclass_fields__") or hasattr(expected, "__struct_fields__")
    return fields and not hasattr(expected, "to_json") and not is_pydantic(expected)


def _json(result: Any, owner: str) -> bytes:
    return _told(json_bytes, result, owner)


def _told(look: Callable[[Any], T], result: Any, owner: str) -> T:
    """What a look at a result gives; what is wrong with it is told with whose it is."""
    try:
        return look(result)
    except ConversionError as error:
        msg = f"{owner} returned what has no JSON form: {error}"
        raise ConversionError(msg) from error


def _compile_check(hint: Any, owner: str) -> Callable[[Any], None]:
    """Make the function that refuses a result of another type than declared."""
    inner, optional = optional_of(hint)
    origin = get_origin(inner)
    if origin in (Union, types.UnionType):
        return _union_check(inner, owner, optional=optional)
    outer = origin if origin in _CONTAINERS else inner
    if is_unknown(inner) or is_web_class(inner) or class_of(outer) is None:
        return _unchecked
    check_one = compile_encoder(outer, Wire.OBJECT, owner)
    items = get_args(inner)[0] if origin is list and get_args(inner) else None
    check_items = None if items is None else compile_encoder(items, Wire.OBJECT, owner)

    def check(result: Any) -> None:
        if result is None and optional:
            return
        check_one((result,))
        if check_items is not None:
            check_items(result)

    return check


def _unchecked(_result: Any) -> None:
    pass


def _compile_many(hint: Any, owner: str) -> Callable[[Any], None]:
    check_items = compile_encoder(element_of(hint), Wire.OBJECT, owner)

    def check(results: Any) -> None:
        check_items(results)

    return check


def _union_check(hint: Any, owner: str, *, optional: bool) -> Callable[[Any], None]:
    classes = [class_of(get_origin(arg) or arg) for arg in get_args(hint)]
    known = tuple(kind for kind in classes if kind is not None)
    if len(known) < len(classes) or any(is_web_class(kind) for kind in known):
        return _unchecked

    def check(result: Any) -> None:
        if not isinstance(result, known) and not (result is None and optional):
            msg = f"{owner} returned {type(result).__name__}, not {type_name(hint)}"
            raise ConversionError(msg)

    return check
