"""A form for one element, made from the declared type, and the line of `send` that it stands for.

A record has a field for each of its own; any other type is one field. It may be filled with an
element that was sent before, or that passed lately. A field typed as secret is never filled and
never written into a line.
"""

from __future__ import annotations

import enum
import json
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.commands.parsing import LINE
from buildflow_nb.core.conversion.annotations import (
    is_pydantic,
    is_record,
    optional_of,
    pydantic_fields,
    record_hints,
    type_name,
)
from buildflow_nb.core.conversion.encode import json_bytes
from buildflow_nb.core.conversion.secret_fields import masker
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.declaring.http_binding import Slot, plan_binding
from buildflow_nb.core.declaring.parameter_marks import ParameterSource
from buildflow_nb.core.declaring.processor import Parameter, element_parameter
from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.core.nearest import cut

__all__ = (
    "Field",
    "FieldError",
    "Sent",
    "example_line",
    "fields_of",
    "form_html",
    "line_of",
    "samples_of",
)

KEPT = 20  # elements sent that are kept for each processor
_FILE = "file"
WHOLE = "element"  # the one field of a type without fields of its own
MASK = "****"
LONGEST = 4_000  # characters of an element that a form may be filled with


class FieldError(UsageError):
    """What was typed into one field cannot be taken; `field` is its name."""

    def __init__(self, field: str, said: str) -> None:
        super().__init__(f"{field}: {said}")
        self.field = field
        self.said = said


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; `place` is where in a request it stands, if that is worth saying."""

    name: str
    hint: Any
    required: bool
    secret: bool = False
    place: str = ""

    @property
    def is_file(self) -> bool:
        """Whether a file is chosen for it."""
        return self.place == _FILE

    def read(self, text: object) -> object:
        """What was typed, as a plain value.

        Raises:
            FieldError: it is not what the type asks for.
        """
        hint = optional_of(self.hint)[0]
        if isinstance(text, bool):
            return text
        typed = str(text)
        if hint is str or self.secret or self.is_file or _choices(hint):
            return typed
        try:
            return json.loads(typed)
        except (ValueError, RecursionError) as error:
            if hint in (int, float, bool) or is_record(hint) or get_origin(hint) in (list, dict):
                msg = f"{cut(typed)!r} is no {type_name(hint)}; write it as JSON"
                raise FieldError(self.name, msg) from error
            return typed  # a date, an id: the converter reads text


class Sent:
    """The last elements that were sent to each processor, as JSON, newest first."""

    def __init__(self) -> None:
        self._texts: dict[str, deque[str]] = {}

    def add(self, processor_id: str, text: str) -> None:
        """Remember an element."""
        kept = self._texts.setdefault(processor_id, deque(maxlen=KEPT))
        if text in kept:
            kept.remove(text)
        kept.appendleft(text)

    def add_element(self, spec: ProcessorSpec, element: object) -> None:
        """Remember an element that was sent by a line; one that holds secrets is forgotten."""
        if any(field.secret for field in fields_of(spec)):
            return
        with suppress(TypeError, ValueError):  # not every element can be written down
            self.add(spec.id, json_bytes(element).decode())

    def of(self, processor_id: str) -> list[str]:
        """What was sent to a processor."""
        return list(self._texts.get(processor_id, ()))


def fields_of(spec: ProcessorSpec) -> list[Field]:
    """The fields of what a processor takes, in order."""
    if isinstance(spec, ConsumerSpec):
        return _of_record(element_parameter(spec.processor))
    connections = (ParameterSource.REQUEST,)
    taken = [slot for slot in plan_binding(spec).slots if slot.place not in connections]
    required = [slot.parameter for slot in taken if slot.parameter.required]
    if len(required) == 1 and is_record(optional_of(required[0].hint)[0]):
        return _of_record(required[0])
    return [_of_slot(slot) for slot in taken]


def _of_slot(slot: Slot) -> Field:
    made = _field(slot.name, slot.hint, required=slot.parameter.required)
    if slot.place is ParameterSource.FILE:
        return replace(made, place=_FILE)
    named = slot.place in (ParameterSource.HEADER, ParameterSource.COOKIE)
    return replace(made, place=f"{slot.place.value} {slot.alias}") if named else made


def _of_record(parameter: Parameter) -> list[Field]:
    kind = optional_of(parameter.hint)[0]
    if not is_record(kind):
        return [_field(WHOLE, parameter.hint, required=True)]
    optional = _with_defaults(kind)
    return [
        _field(name, hint, required=name not in optional)
        for name, hint in record_hints(kind).items()
    ]


def _field(name: str, hint: object, *, required: bool) -> Field:
    return Field(name, hint, required, secret=masker(hint) is not None)


def _with_defaults(kind: Any) -> set[str]:
    """The names of a record's fields that may be left out."""
    if is_pydantic(kind):  # its dataclasses are told more by pydantic than by their defaults
        return {name for name, f in pydantic_fields(kind).items() if not f.is_required()}
    if is_dataclass(kind):
        return {
            f.name
            for f in fields(kind)
            if f.default is not MISSING or f.default_factory is not MISSING
        }
    if hasattr(kind, "__struct_fields__"):
        defaults = len(kind.__struct_defaults__)
        return set(kind.__struct_fields__[len(kind.__struct_fields__) - defaults :])
    return set(getattr(kind, "_field_defaults", ())) | set(getattr(kind, "__optional_keys__", ()))


def line_of(spec: ProcessorSpec, typed: Mapping[str, object]) -> tuple[str, str]:
    """The line that a filled form stands for, and the same with secrets masked, to be shown.

    Raises:
        FieldError: it is missing, or does not fit its type.
    """
    found, shown = {}, {}
    for field in fields_of(spec):
        text = typed.get(field.name, "")
        if text in ("", MASK):
            if field.required and (field.is_file or optional_of(field.hint)[0] is not str):
                raise FieldError(field.name, "it is missing")
            if not field.required:
                continue
        found[field.name] = field.read(text)
        shown[field.name] = MASK if field.secret else found[field.name]
    return _line(spec, found), _line(spec, shown)


def _line(spec: ProcessorSpec, values: Mapping[str, object]) -> str:
    whole = values.get(WHOLE) if list(values) == [WHOLE] else values
    return f"{LINE} send {spec.id} {json.dumps(whole, ensure_ascii=False)}"


def example_line(spec: ProcessorSpec) -> str:
    """A line of `send` that fits what a processor takes."""
    values = {field.name: _example(field) for field in fields_of(spec) if field.required}
    return _line(spec, values)


def _example(field: Field) -> object:
    hint = optional_of(field.hint)[0]
    choices = _choices(hint)
    if field.is_file:
        return "photo.png"
    if choices:
        return choices[0]
    made: dict[object, object] = {int: 1, float: 1.5, bool: True, list: [], dict: {}}
    return made.get(get_origin(hint) or hint, "…")


def form_html(
    spec: ProcessorSpec,
    samples: Sequence[str],
    fill: str,
    off: str = "",
    wrong: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The form as HTML.

    `samples` are elements to fill it with, `fill` the one that was chosen, which stays whatever
    else there is to choose from; `off` says why it cannot be sent now, `wrong` what is wrong with
    which field.
    """
    if fill and fill not in samples:
        samples = [fill, *samples]
    chosen = samples.index(fill) if fill else 0
    values = _values(samples[chosen]) if samples else {}
    rows = "".join(
        _row(spec.id, field, values.get(field.name), wrong.get(field.name, ""))
        for field in fields_of(spec)
    )
    send = markup.button("Try", "send", spec.id, off=off, class_="primary default")
    note = '<span class="mute">through the real code; nothing is written</span>'
    return (
        f'<div data-form>{_samples(samples, chosen)}<div class="fields">{rows}</div>'
        f'<div class="row" style="padding-top:8px">{send}{note}</div></div>'
    )


def _values(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    return found if isinstance(found, dict) else {WHOLE: found}


def samples_of(spec: ProcessorSpec, sent: Sequence[str], passed: Sequence[object]) -> list[str]:
    """Elements that a form may be filled with: those sent before, then those that passed."""
    found = list(sent)
    for element in passed:
        try:
            text = json_bytes(_plain(spec, element)).decode()
        except (TypeError, ValueError, ConversionError):
            continue
        if text not in found:
            found.append(text)
    return [text for text in found if len(text) <= LONGEST][:KEPT]


def _plain(spec: ProcessorSpec, element: object) -> object:
    """A route's arguments by name; an element as it is."""
    if isinstance(spec, ConsumerSpec) or not isinstance(element, tuple):
        return element
    taken = spec.processor.parameters
    if len(taken) == 1 and is_record(optional_of(taken[0].hint)[0]):
        return element[0]
    return {p.name: value for p, value in zip(taken, element, strict=False)}


def _samples(samples: Sequence[str], chosen: int) -> str:
    if not samples:
        return ""
    options = _options([(text, formats.clean(text, 90)) for text in samples], chosen)
    named = markup.attributes(data_act="fill", style="max-width:100%")
    return f'<div class="row gap"><label>fill with <select{named}>{options}</select></label></div>'


def _options(pairs: Sequence[tuple[str, str]], chosen: int) -> str:
    return "".join(
        f"<option{markup.attributes(value=value, selected=i == chosen)}>{quote(text)}</option>"
        for i, (value, text) in enumerate(pairs)
    )


def _row(owner: str, field: Field, value: object, wrong: str = "") -> str:
    identity = f"bf-{quote(owner)}-{quote(field.name)}"
    said = "secret" if field.secret else quote(field.place or type_name(field.hint), 60)
    kind = f'<code class="mute">{said}</code>'
    must = "" if field.required else " (optional)"
    label = f'<label for="{identity}">{quote(field.name)}{must} {kind}</label>'
    said = quote(wrong, 300)
    told = f'<div class="err" id="{identity}-wrong" role="alert">✕ {said}</div>' if wrong else ""
    return f"{label}<div>{_input(identity, field, value, bool(wrong))}{told}</div>"


def _input(identity: str, field: Field, value: object, wrong: bool) -> str:
    hint = optional_of(field.hint)[0]
    named: dict[str, object] = {"id": identity, "name": field.name}
    if wrong:
        named |= {"aria_invalid": "true", "aria_describedby": f"{identity}-wrong"}
    choices = _choices(hint)
    if field.is_file:
        return f"<input{markup.attributes(type='file', **named)}>"
    if hint is bool and field.required:
        return f"<input{markup.attributes(type='checkbox', checked=bool(value), **named)}>"
    if hint is bool:
        choices, value = ["true", "false"], None if value is None else str(bool(value)).lower()
    if choices:
        pairs = [(choice, choice) for choice in choices]
        if not field.required:
            pairs.insert(
                0, ("", "(default)")
            )  # an untouched field is left out, not sent as another
        found = [i for i, (choice, _) in enumerate(pairs) if choice == str(value)]
        return f"<select{markup.attributes(**named)}>{_options(pairs, (found or [0])[0])}</select>"
    text = "" if value is None else value if isinstance(value, str) else _json(value)
    kind = "password" if field.secret else "text"
    if field.secret:
        text = ""
    return f"<input{markup.attributes(type=kind, value=text, autocomplete='off', **named)}>"


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return formats.shown(value)


def _choices(hint: object) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(arg) for arg in get_args(hint)]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [str(member.value) for member in hint]
    return []
