"""What a resource type takes and gives, declared as data.

Everything that the engine asks before a cloud is touched follows from this: whether inputs are
right, which of them get a default, what a change means, which outputs a preview cannot know.
Names, requirements, defaults and what forces a replacement are those of the published provider, so
that a program which passes here is one that passes there. An input that the published provider
knows and the local cloud does not carry out is refused, not ignored: a program must not seem to
work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind, fault
from buildflow_nb.local_cloud.provider.names import AutoName

__all__ = ("Failure", "Input", "Schema")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an input is wrong: its path, and the reason with the way to mend it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a resource type.

    `replaces` marks what cannot be changed in place. `computed` marks what the cloud fills in where
    the program says nothing, so that taking it away changes nothing. `parts` are the inputs of a
    nested object, or of each object in a list.
    """

    kind: Kind = Kind.TEXT
    required: bool = False
    replaces: bool = False
    computed: bool = False
    default: Plain = None
    choices: tuple[str, ...] = ()
    parts: Mapping[str, Input] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """A resource type: its token, its inputs, and its outputs besides them.

    `outputs` maps each output to the inputs that it follows: where one of those changes, a preview
    does not know the output any more.
    """

    token: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    name: AutoName | None = None

    def defaults(self, values: Mapping[str, Plain]) -> dict[str, Plain]:
        """Defaults for the inputs that a program has left out."""
        return {
            name: declared.default
            for name, declared in self.inputs.items()
            if declared.default is not None and values.get(name) is None
        }

    def failures(self, values: Mapping[str, Plain]) -> Iterator[Failure]:
        """Everything that is wrong with the inputs of a program, defaults included."""
        yield from _failures(self.token, self.inputs, values, "")


def _failures(
    token: str, inputs: Mapping[str, Input], values: Mapping[str, Plain], place: str
) -> Iterator[Failure]:
    for name, declared in inputs.items():
        if declared.required and values.get(name) is None:
            yield Failure(place + name, f"Missing required property '{place}{name}'")
    for name, value in values.items():
        if name not in inputs:
            served = ", ".join(sorted(inputs))
            reason = (
                f"the local cloud does not carry out '{place}{name}' of {token}; it takes {served}"
            )
            yield Failure(place + name, reason)
        elif value is not None:
            yield from _wrong(token, inputs[name], value, place + name)


def _wrong(token: str, declared: Input, value: Plain, path: str) -> Iterator[Failure]:
    reason = fault(declared.kind, value)
    if reason is not None:
        yield Failure(path, f"'{path}' of {token}: {reason}")
    elif isinstance(value, str) and declared.choices and value not in declared.choices:
        yield Failure(path, f"'{path}' of {token}: not one of {', '.join(declared.choices)}")
    elif declared.kind is Kind.OBJECT and isinstance(value, dict):
        yield from _failures(token, declared.parts, value, f"{path}.")
    elif declared.kind is Kind.OBJECTS and isinstance(value, list):
        yield from _items(token, declared, value, path)


def _items(token: str, declared: Input, items: list[Plain], path: str) -> Iterator[Failure]:
    for position, item in enumerate(items):
        place = f"{path}[{position}]"
        if isinstance(item, dict):
            yield from _failures(token, declared.parts, item, f"{place}.")
        elif isinstance(item, str | int | float | list):
            yield Failure(place, f"'{place}' of {token}: expected an object")
