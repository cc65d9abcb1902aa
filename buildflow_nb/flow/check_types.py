"""Whether what a processor declares converts, and fits the columns of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from buildflow_nb.core.conversion.annotations import (
    is_pydantic,
    is_record,
    pydantic_fields,
    type_name,
)
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.conversion.fields_written import fields_written
from buildflow_nb.core.conversion.model_forms import spelling_of
from buildflow_nb.core.declaring.flow_spec import CollectorSpec, ConsumerSpec, ProcessorSpec
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Columns, Finding, Health
from buildflow_nb.core.primitive import Wire, label_of

__all__ = ("Known", "look_at_types")

Known = Mapping[int, Columns]  # by the `id` of the primitive


def look_at_types(spec: ProcessorSpec, known: Known) -> Finding:
    """How the types of one processor are."""
    subject = f"{spec.id}: types"
    try:
        said = f"{_input(spec)} → {_output(spec)}"
    except DeclarationError as error:
        return Finding(subject, Health.ERROR, str(error), "change the annotation")
    wrong = _misread(spec, known) or _miswritten(spec, known)
    if wrong:
        return Finding(subject, Health.ERROR, *wrong)
    return Finding(subject, Health.OK, said)


def _input(spec: ProcessorSpec) -> str:
    if not isinstance(spec, ConsumerSpec):
        return "a request"
    hint, wire = spec.input_type, spec.source.source_wire
    compile_decoder(hint, wire, f"consumer {spec.id!r}")
    return type_name(hint) if hint is not None else "anything"


def _output(spec: ProcessorSpec) -> str:
    if not isinstance(spec, (ConsumerSpec, CollectorSpec)) or spec.sink is None:
        return "an answer" if not isinstance(spec, ConsumerSpec) else "nothing"
    compile_encoder(spec.output_type, spec.sink.sink_wire, f"{spec.kind} {spec.id!r}")
    return type_name(spec.output_type) if spec.output_type is not None else "anything"


def _misread(spec: ProcessorSpec, known: Known) -> tuple[str, str] | None:
    """What the input type demands that the source does not have."""
    if not isinstance(spec, ConsumerSpec) or spec.source.source_wire is Wire.OBJECT:
        return None
    columns = known.get(id(spec.source))
    if columns is None:
        return None
    missing = [name for name in _required(spec.input_type) if name not in columns.names]
    return None if not missing else _told(spec.source, missing, columns, spec.input_type)


def _miswritten(spec: ProcessorSpec, known: Known) -> tuple[str, str] | None:
    """What the output type has that the sink has no column for, or the other way round."""
    if not isinstance(spec, (ConsumerSpec, CollectorSpec)) or not is_record(spec.output_type):
        return None
    columns = known.get(id(spec.sink))
    written = fields_written(spec.output_type)
    if columns is None or written is None or hasattr(spec.output_type, "to_json"):
        return None
    names = list(written.hints)
    there = {_folded(name, columns) for name in columns.names}
    missing = [name for name in names if _folded(name, columns) not in there]
    if missing:
        return _told(spec.sink, missing, columns, spec.output_type)
    left = [name for name in columns.names if name not in names] if columns.exact else []
    if not left:
        return None
    said = f"{label_of(spec.sink)} has column {_listed(left)}, which {_name(spec)} lacks"
    return said, f"add it to {_name(spec)}, or write to another place"


def _name(spec: ConsumerSpec | CollectorSpec) -> str:
    return type_name(spec.output_type)


def _told(primitive: object, missing: list[str], columns: Columns, hint: Any) -> tuple[str, str]:
    said = (
        f"{label_of(primitive)} has no column {_listed(missing)} (it has {_listed(columns.names)})"
    )
    return said, f"mend {type_name(hint)}, or what is there"


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)


def _folded(name: str, columns: Columns) -> str:
    """A database knows no upper and lower case; a file does."""
    return name if columns.exact else name.lower()


def _required(hint: object) -> list[str]:
    """The names that an element must have, as the decoder looks for them."""
    if not is_record(hint):
        return []
    if is_pydantic(hint):
        fields = pydantic_fields(hint)
        return [spelling_of(hint, name) for name, one in fields.items() if one.is_required()]
    try:
        info = msgspec.inspect.type_info(hint)
    except TypeError:
        return []
    return [field.encode_name for field in getattr(info, "fields", ()) if field.required]
