"""Where each parameter of a route's function comes from: decided once, from its annotation.

A mark (`Form()`, `Header()`, …: `parameter_marks.py`) says it; where there is none, the annotation
does. A parameter named in the route comes from the path. `Request` of starlette or aiohttp is the
request itself, `UploadFile` a file of the form. `bytes` is the raw body. Scalars (numbers, text,
dates, enums, literals, lists of them) come from the query. Records, dicts and lists of records are
the JSON body; several of them are one JSON object, keyed by name. For GET and DELETE a record is
made of the query's fields, or of a JSON body where one is sent. A single parameter without
annotation and default is the decoded body; others without annotation are text from the query.

Everything that cannot be bound is refused when it is declared, in one line.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec

from buildflow_nb.core.conversion.annotations import (
    is_record,
    is_unknown,
    optional_of,
    type_name,
    unconvertible,
)
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.conversion.secret_fields import secret_paths
from buildflow_nb.core.conversion.typed_values import needs_pydantic
from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec
from buildflow_nb.core.declaring.parameter_marks import Mark, ParameterSource, with_bounds
from buildflow_nb.core.declaring.processor import Parameter
from buildflow_nb.core.declaring.route_template import parse_template
from buildflow_nb.core.declaring.web_classes import is_starlette_class, is_upload, is_web_class
from buildflow_nb.core.declaring.websocket_parameters import WEBSOCKET, refuse_unfit, socket_place
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Wire

__all__ = (
    "BODY_METHODS",
    "TEXTS",
    "BindingPlan",
    "ParameterSource",
    "Slot",
    "compile_json",
    "compile_text",
    "for_pydantic",
    "is_starlette_class",
    "is_upload",
    "is_web_class",
    "plan_binding",
)

BODY_METHODS = ("POST", "PUT", "PATCH")
TEXTS = (
    ParameterSource.PATH,
    ParameterSource.QUERY,
    ParameterSource.HEADER,
    ParameterSource.COOKIE,
    ParameterSource.FORM,
)
"""Where values are written as text."""

_LISTS = (list, set, frozenset, tuple, collections.abc.Sequence)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


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

    @property
    def alias(self) -> str:
        """What it is called in a request."""
        mark = self.parameter.mark
        return self.name if mark is None else mark.name(self.name)

    @property
    def kind(self) -> Any:
        """Its type, without marks and None."""
        return optional_of(_plain(self.hint))[0]

    @property
    def is_record(self) -> bool:
        """Whether it is made of several fields."""
        return is_record(self.kind)

    @property
    def may_be_body(self) -> bool:
        """Whether it may come from a body that is no form."""
        if self.place is ParameterSource.FIELDS:
            return self.parameter.mark is None
        return self.place in (ParameterSource.BODY, ParameterSource.RAW)


@dataclass(frozen=True, slots=True)
class BindingPlan:
    """All parameters of a route's function; `keyed` means the body is an object of several."""

    owner: str
    method: str
    slots: tuple[Slot, ...]

    @property
    def keyed(self) -> bool:
        """Whether the body holds parameters by name: several, or one that asks for it."""
        found = self.at(ParameterSource.BODY)
        embedded = any(slot.parameter.mark and slot.parameter.mark.embed for slot in found)
        return len(found) > 1 or embedded

    @property
    def reads_body(self) -> bool:
        """Whether any parameter may come from a body that is no form."""
        return any(slot.may_be_body for slot in self.slots)

    @property
    def reads_form(self) -> bool:
        """Whether any parameter comes from a form."""
        return bool(self.at(ParameterSource.FORM, ParameterSource.FILE))

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
    bare = _bare_body(spec, in_path)
    slots = tuple(
        _slot(p, in_path, spec.method, is_body=p is bare) for p in spec.processor.parameters
    )
    plan = BindingPlan(owner, spec.method, slots)
    refuse_unfit(spec, slots)
    _refuse_misplaced(plan, in_path)
    _refuse_mixed(plan)
    for slot in slots:
        _check(slot, owner)
    if spec.kind == "endpoint" and spec.method != WEBSOCKET:
        _check_answer(spec.processor.returns, owner)
    return plan


def _bare_body(spec: CollectorSpec | EndpointSpec, in_path: tuple[str, ...]) -> Parameter | None:
    """The parameter that is the body for want of anything that says what it is."""
    open_ = [p for p in spec.processor.parameters if p.mark is None and p.name not in in_path]
    bare = [p for p in open_ if is_unknown(p.hint) and p.required]
    marked = any(p.mark and p.mark.source in _OF_BODY for p in spec.processor.parameters)
    if spec.method not in BODY_METHODS or len(bare) != 1 or marked:
        return None
    return None if any(_shape(p) in _OF_BODY for p in open_) else bare[0]


_OF_BODY = (
    ParameterSource.BODY,
    ParameterSource.RAW,
    ParameterSource.FORM,
    ParameterSource.FILE,
)


def _refuse_misplaced(plan: BindingPlan, in_path: tuple[str, ...]) -> None:
    """What the route names comes from the path, and nothing else does."""
    for slot in plan.slots:
        mark = slot.parameter.mark
        marked = mark is not None and mark.source is ParameterSource.PATH
        if mark is None or marked is (slot.alias in in_path):
            continue
        said = "the route does not name it" if marked else "the route names it; use Path()"
        msg = f"{plan.owner}: {slot.name!r} is marked with {mark.word}, but {said}"
        raise DeclarationError(msg)


def _refuse_mixed(plan: BindingPlan) -> None:
    """One request has one body."""
    raw, body = plan.at(ParameterSource.RAW), plan.at(ParameterSource.RAW, ParameterSource.BODY)
    form = plan.at(ParameterSource.FORM, ParameterSource.FILE)
    if form and plan.method not in BODY_METHODS:
        msg = f"{plan.owner}: {_names(form)} come from a form, and {plan.method} has no body"
        raise DeclarationError(msg + "; use POST, PUT or PATCH")
    if form and body:
        msg = (
            f"{plan.owner}: {_names(body)} come from the JSON body and {_names(form)} from a form, "
            "and a request has one body; mark all of them with Form() or File()"
        )
        raise DeclarationError(msg)
    if raw and len(body) > 1:
        msg = f"{plan.owner}: {_names(body)} all take the body, and bytes takes it whole"
        raise DeclarationError(msg + "; keep one of them")


def _names(slots: list[Slot]) -> str:
    return ", ".join(repr(slot.name) for slot in slots)


def _slot(parameter: Parameter, in_path: tuple[str, ...], method: str, *, is_body: bool) -> Slot:
    hint, mark = parameter.hint, parameter.mark
    if is_unknown(hint) and isinstance(parameter.default, (str, int, float)):
        hint = type(parameter.default)
    if mark is not None:
        return _marked_slot(parameter, mark, hint)
    if parameter.name in in_path:
        return Slot(parameter, ParameterSource.PATH, hint)
    place = ParameterSource.BODY if is_body else _shape(parameter)
    inner = optional_of(_plain(hint))[0]
    if place in (ParameterSource.QUERY, ParameterSource.FILE):
        return Slot(parameter, place, hint, repeated=_is_list(inner))
    fields = is_record(inner) or _is_mapping(inner)
    if place is ParameterSource.BODY and method not in BODY_METHODS and fields:
        place = ParameterSource.FIELDS
    return Slot(parameter, place, hint)


def _marked_slot(parameter: Parameter, mark: Mark, hint: Any) -> Slot:
    place, inner = mark.source, optional_of(_plain(hint))[0]
    if place is ParameterSource.QUERY and is_record(inner):
        return Slot(parameter, ParameterSource.FIELDS, hint)
    if place is ParameterSource.BODY and inner is bytes:
        return Slot(parameter, ParameterSource.RAW, hint)
    bounded = hint if place is ParameterSource.FILE else with_bounds(hint, mark)
    repeated = place not in (ParameterSource.BODY, ParameterSource.PATH) and _is_list(inner)
    return Slot(parameter, place, bounded, repeated=repeated)


def _shape(parameter: Parameter) -> ParameterSource:
    """The place that the annotation alone asks for."""
    inner, _ = optional_of(_plain(parameter.hint))
    if place := socket_place(inner):
        return place
    if is_upload(inner) or (_is_list(inner) and any(map(is_upload, get_args(inner)))):
        return ParameterSource.FILE
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


def _check(slot: Slot, owner: str) -> None:
    where = f"{owner}, parameter {slot.name!r}"
    if slot.place is ParameterSource.FILE:
        items = get_args(slot.kind) if slot.repeated else (slot.kind,)
        if not all(item is bytes or is_upload(item) for item in items if item is not Ellipsis):
            msg = f"{where}: a file is UploadFile or bytes, or a list, not {type_name(slot.hint)}"
            raise DeclarationError(msg)
    elif slot.place in TEXTS:
        if slot.is_record and slot.place is not ParameterSource.PATH:
            compile_decoder(slot.hint, Wire.ROW, where)
            return
        _refuse_no_text(slot, where)
        compile_text(slot.hint, where)
    elif slot.place is ParameterSource.REQUEST and slot.kind.__name__ not in _REQUESTS:
        msg = f"{where}: {type_name(slot.hint)} is not what a request brings; use Request"
        raise DeclarationError(msg)
    elif slot.place in (ParameterSource.BODY, ParameterSource.FIELDS):
        compile_decoder(slot.hint, Wire.RECORD, where)


_REQUESTS = ("Request", "BaseRequest")


def _refuse_no_text(slot: Slot, where: str) -> None:
    """Values of these places are written as text; parts of a path come one by one."""
    if _is_text(slot.hint) and not (slot.place is ParameterSource.PATH and _is_list(slot.kind)):
        return
    msg = (
        f"{where}: {type_name(slot.hint)} cannot be read from the {slot.place.value}; annotate "
        "with str, int or another plain type"
    )
    raise DeclarationError(msg)


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
    return cast("Callable[[Any], object]", _adapter(hint, where).validate_python)


def compile_json(hint: Any, where: str) -> Callable[[bytes], object]:
    """Make the converter from JSON to a type whose mark bounds it; it raises as pydantic does.

    Raises:
        DeclarationError: JSON can never become this type.
    """
    return cast("Callable[[bytes], object]", _adapter(hint, where).validate_json)


def _adapter(hint: Any, where: str) -> Any:
    import pydantic

    try:
        return pydantic.TypeAdapter(hint)
    except (pydantic.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        msg = (
            f"{where}: {type_name(hint)} cannot be read from a request; use plain types, a "
            "dataclass or another record type, bytes, UploadFile, or Request"
        )
        raise DeclarationError(msg) from error


def for_pydantic(hint: object) -> bool:
    """Whether it has constraints that pydantic knows, and msgspec would ignore."""
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    modules = {type(mark).__module__.partition(".")[0] for mark in marks}
    return bool(modules & {"pydantic", "annotated_types"})


def _for_pydantic(hint: object) -> bool:
    """Whether msgspec has no notation for it, or would ignore constraints made for pydantic."""
    if for_pydantic(hint):
        return True
    return needs_pydantic(hint) or unconvertible(hint) is not None or bool(secret_paths(hint))
