"""What the engine keeps of a resource: its outputs, and its inputs as a refresh found them.

Outputs are what the cloud says, laid over what the program said, in the program's spelling where
both mean the same. Every declared output is there, be it null, because the engine takes one that is
missing after a create for one that a preview still does not know. What was secret in an input stays
secret in the output of the same name and in those that follow it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Bag, Plain
from buildflow_nb.local_cloud.provider.diff import equal
from buildflow_nb.local_cloud.provider.kinds import same
from buildflow_nb.local_cloud.provider.names import DEFAULTS
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = (
    "found_inputs",
    "imported_inputs",
    "known_after",
    "made",
    "planned_create",
    "planned_update",
)


def planned_create(schema: Schema, inputs: Bag) -> Bag:
    """Outputs that a preview of a create can promise."""
    values = {n: _opened(schema.inputs.get(n), v) for n, v in _stated(inputs).items()}
    filled = {n for n, i in schema.inputs.items() if i.computed and values.get(n) is None}
    open_values: dict[str, Plain] = dict.fromkeys(filled | schema.outputs.keys(), UNKNOWN)
    return Bag({**values, **open_values}, _secrets(schema, inputs.secrets))


def planned_update(schema: Schema, inputs: Bag, olds: Bag, changes: Collection[str]) -> Bag:
    """Outputs that a preview of an update can promise, given the inputs that change."""
    values = {
        name: UNKNOWN if set(follows) & set(changes) else olds.values.get(name)
        for name, follows in schema.outputs.items()
    }
    kept = {n: olds.values.get(n) for n, i in schema.inputs.items() if i.computed}
    stated = {
        name: _opened(schema.inputs.get(name), value) if name in changes else olds.values.get(name)
        for name, value in _stated(inputs).items()
    }
    return Bag({**kept, **stated, **values}, _secrets(schema, inputs.secrets))


def known_after(schema: Schema, inputs: Bag, olds: Bag) -> dict[str, Plain]:
    """What is known of a resource after an update: what was known, but no input that is gone."""
    inputs_now = schema.inputs.items()
    gone = {n for n, i in inputs_now if not i.computed and inputs.values.get(n) is None}
    return {n: v for n, v in olds.values.items() if n not in gone} | _stated(inputs)


def made(
    schema: Schema, inputs: Bag, live: Mapping[str, Plain], secrets: frozenset[str] = frozenset()
) -> Bag:
    """Outputs of a resource that is there; `secrets` are further names to keep secret."""
    values: dict[str, Plain] = dict.fromkeys(schema.outputs)
    values |= {name: None for name, declared in schema.inputs.items() if declared.computed}
    values |= _stated(inputs) | _spelled(schema, inputs, live)
    return Bag(values, _secrets(schema, inputs.secrets | secrets))


def found_inputs(schema: Schema, inputs: Bag, live: Mapping[str, Plain]) -> Bag:
    """The inputs as the cloud has them now: how drift reaches the next difference.

    An input that nobody set and that the cloud now has is drift as well, but not where the cloud
    fills it in by itself.
    """
    values = dict(inputs.values)
    for name, declared in schema.inputs.items():
        known, here = inputs.values.get(name), live.get(name)
        drifted = known is not None or (here and not declared.computed)
        if name in live and drifted and not equal(declared, here, known):
            values[name] = here
    return Bag({n: v for n, v in values.items() if v is not None}, inputs.secrets)


def imported_inputs(schema: Schema, live: Mapping[str, Plain]) -> Bag:
    """The inputs that a program would have to give for the resource that is there."""
    values = {n: live[n] for n in schema.inputs if live.get(n) not in (None, "", [], {})}
    return Bag({**schema.defaults(values), **values, DEFAULTS: []})


def _stated(inputs: Bag) -> dict[str, Plain]:
    return {name: value for name, value in inputs.values.items() if name != DEFAULTS}


def _opened(declared: Input | None, value: Plain) -> Plain:
    """A value in which what the cloud will fill in is unknown."""
    if declared is None or not declared.parts:
        return value
    if isinstance(value, list):
        return [_opened(declared, item) for item in value]
    if not isinstance(value, dict):
        return value
    parts = {name: _opened(declared.parts.get(name), part) for name, part in value.items()}
    filled = {n for n, i in declared.parts.items() if i.computed and parts.get(n) is None}
    return {**parts, **dict.fromkeys(filled, UNKNOWN)}


def _spelled(schema: Schema, inputs: Bag, live: Mapping[str, Plain]) -> dict[str, Plain]:
    """What the cloud says, in the program's spelling where that means the same."""
    spelled = dict(live)
    for name, value in inputs.values.items():
        declared = schema.inputs.get(name)
        if declared is not None and name in live and same(declared.kind, value, live[name]):
            spelled[name] = value
    return spelled


def _secrets(schema: Schema, secrets: frozenset[str]) -> frozenset[str]:
    return secrets | {name for name, follows in schema.outputs.items() if secrets & set(follows)}
