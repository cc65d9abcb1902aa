"""Where each parameter of a route's function comes from: decided once, from its annotation.

A parameter named in the route comes from the path. `aiohttp.web.Request` is the request itself.
`bytes` is the raw body. Scalars (numbers, text, dates, enums, literals, lists of them) come from
the query. Records, dicts and lists of records are the JSON body; several of them are one JSON
object, keyed by name. For GET and DELETE a record is made of the query's fields, or of a JSON body
where one is sent. A single parameter without annotation and default is the decoded body; others
without annotation are text from the query.

Everything that cannot be bound is refused when it is declared, in one line.
"""

from __future__ import annotations

import collections.abc
import enum
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec

from buildflow_nb.core.conversion.annotations import (
    is_pydantic,
    is_record,
    is_unknown,
    optional_of,
    type_name,
    unconvertible,
)
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.conversion.secret_fields import secret_paths
from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec
from buildflow_nb.core.declaring.processor import Parameter
from buildflow_nb.core.declaring.route_template import parse_template
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Wire

__all__ = (
    "BODY_METHODS",
    "BindingPlan",
    "ParameterSource",
    "Slot",
    "compile_text",
    "is_web_class",
    "plan_binding",
)

BODY_METHODS = ("POST", "PUT", "PATCH")
_LISTS = (list, set, frozenset, tuple, collections.abc.Sequence)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class ParameterSource(enum.Enum):
    """Where a parameter comes from."""

    PATH = "path"
    QUERY = "query"
    FIELDS = "fields"  # a record made of the query, for methods without a body
    BODY = "body"
    RAW = "raw"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter and its place; `repeated` ones take every value of their query key."""

    parameter: Parameter
    place: ParameterSource
    hint: Any
    repeated: bool = False

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.parameter.name


@dataclass(frozen=True, slots=True)
class BindingPlan:
    """All parameters of a route's function; `keyed` means the body is an object of several."""

    owner: str
    method: str
    slots: tuple[Slot, ...]

    @property
    def keyed(self) -> bool:
        """Whether the body holds several parameters, by name."""
        return len(self.at(ParameterSource.BODY)) > 1

    @property
    def reads_body(self) -> bool:
        """Whether any parameter may come from the body."""
        return bool(self.at(ParameterSource.BODY, ParameterSource.RAW, ParameterSource.FIELDS))

    def at(self, *places: ParameterSource) -> list[Slot]:
        """The parameters of these places, in order."""
        return [slot for slot in self.slots if slot.place in places]


def plan_binding(spec: CollectorSpec | EndpointSpec) -> BindingPlan:
    """Decide where each parameter comes from, and check that it and the answer convert.

    Raises:
        DeclarationError: the route or a parameter's type does not fit.
    """
    owner = f"{spec.kind} {spec.id!r}"
    in_path = parse_template(spec.route, owner).names
    open_ = [p for p in spec.processor.parameters if p.name not in in_path]
    bare = [p for p in open_ if is_unknown(p.hint) and p.required]
    body_bare = bare[0] if spec.method in BODY_METHODS and len(bare) == 1 else None
    if body_bare is not None and any(
        _shape(p) in (ParameterSource.BODY, ParameterSource.RAW) for p in open_
    ):
        body_bare = None
    slots = tuple(
        _slot(p, in_path, spec.method, is_body=p is body_bare) for p in spec.processor.parameters
    )
    plan = BindingPlan(owner, spec.method, slots)
    if plan.at(ParameterSource.RAW) and len(plan.at(ParameterSource.RAW, ParameterSource.BODY)) > 1:
        names = ", ".join(
            repr(slot.name) for slot in plan.at(ParameterSource.RAW, ParameterSource.BODY)
        )
        msg = f"{owner}: {names} all take the body, and bytes takes it whole; keep one of them"
        raise DeclarationError(msg)
    for slot in slots:
        _check(slot, owner)
    if spec.kind == "endpoint":
        _check_answer(spec.processor.returns, owner)
    return plan


def _slot(parameter: Parameter, in_path: tuple[str, ...], method: str, *, is_body: bool) -> Slot:
    hint = parameter.hint
    if is_unknown(hint) and isinstance(parameter.default, (str, int, float)):
        hint = type(parameter.default)
    if parameter.name in in_path:
        return Slot(parameter, ParameterSource.PATH, hint)
    place = ParameterSource.BODY if is_body else _shape(parameter)
    if place is ParameterSource.QUERY:
        return Slot(parameter, place, hint, repeated=_is_list(optional_of(_plain(hint))[0]))
    inner = optional_of(_plain(hint))[0]
    fields = is_record(inner) or _is_mapping(inner)
    if place is ParameterSource.BODY and method not in BODY_METHODS and fields:
        place = ParameterSource.FIELDS
    return Slot(parameter, place, hint)


def _shape(parameter: Parameter) -> ParameterSource:
    """The place that the annotation alone asks for."""
    inner, _ = optional_of(_plain(parameter.hint))
    if is_web_class(inner):
        return ParameterSource.REQUEST
    if inner is bytes:
        return ParameterSource.RAW
    return ParameterSource.QUERY if is_unknown(inner) or _is_text(inner) else ParameterSource.BODY


def _is_text(hint: object) -> bool:
    """Whether values of the type are written as text, alone or repeated."""
    hint = _plain(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return all(_is_text(arg) for arg in get_args(hint))
    if is_record(hint) or _is_mapping(hint) or hint in (bytes, *_LISTS):
        return False
    if _is_list(hint):
        return all(arg is Ellipsis or _is_text(arg) for arg in get_args(hint))
    return True


def _is_list(hint: object) -> bool:
    return get_origin(hint) in _LISTS


def _is_mapping(hint: object) -> bool:
    return hint in _MAPPINGS or get_origin(hint) in _MAPPINGS


def _plain(hint: object) -> object:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def is_web_class(hint: object) -> bool:
    """Whether it is one of aiohttp's classes (told by its module, so that it stays unloaded)."""
    return isinstance(hint, type) and any(
        base.__module__.partition(".")[0] == "aiohttp" for base in hint.__mro__
    )


def _check(slot: Slot, owner: str) -> None:
    where = f"{owner}, parameter {slot.name!r}"
    if slot.place in (ParameterSource.PATH, ParameterSource.QUERY):
        if slot.place is ParameterSource.PATH and not _is_text(slot.hint):
            msg = (
                f"{where}: {type_name(slot.hint)} cannot be read from the path; annotate with "
                "str, int or another plain type"
            )
            raise DeclarationError(msg)
        compile_text(slot.hint, where)
    elif slot.place is ParameterSource.REQUEST and slot.parameter.hint.__name__ not in _REQUESTS:
        msg = f"{where}: {type_name(slot.hint)} is not what a request brings; use web.Request"
        raise DeclarationError(msg)
    elif slot.place in (ParameterSource.BODY, ParameterSource.FIELDS):
        compile_decoder(slot.hint, Wire.RECORD, where)


_REQUESTS = ("Request", "BaseRequest")


def _check_answer(hint: object, owner: str) -> None:
    inner, _ = optional_of(hint)
    if inner is bytes or is_web_class(inner) or is_unknown(inner):
        return
    if get_origin(inner) in (Union, types.UnionType):
        for arg in get_args(inner):
            _check_answer(arg, owner)
    elif getattr(get_origin(inner), "__module__", "") != "collections.abc":
        compile_encoder(inner, Wire.BYTES, owner)


def compile_text(hint: Any, where: str) -> Callable[[Any], object]:
    """Make the converter from text (or a list of texts) to a plain type.

    It raises ValueError or TypeError as msgspec and pydantic do.

    Raises:
        DeclarationError: text can never become this type.
    """
    inner, _ = optional_of(hint)
    if inner is str or is_unknown(inner):
        return lambda text: text
    if not _for_pydantic(hint):
        return lambda text: cast("object", msgspec.convert(text, cast("Any", hint), strict=False))
    import pydantic

    try:
        adapter: Any = pydantic.TypeAdapter(hint)
    except (pydantic.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        msg = (
            f"{where}: {type_name(hint)} cannot be read from a request; use plain types, a "
            "dataclass or another record type, bytes, or aiohttp.web.Request"
        )
        raise DeclarationError(msg) from error
    return cast("Callable[[Any], object]", adapter.validate_python)


def _for_pydantic(hint: object) -> bool:
    """Whether msgspec has no notation for it, or would ignore constraints made for pydantic."""
    if get_origin(hint) is Annotated:
        marks = {type(mark).__module__.partition(".")[0] for mark in get_args(hint)[1:]}
        if marks & {"pydantic", "annotated_types"}:
            return True
    try:
        msgspec.inspect.type_info(hint)
    except (TypeError, NameError):
        return True
    return unconvertible(hint) is not None or is_pydantic(hint) or bool(secret_paths(hint))
