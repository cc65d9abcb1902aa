"""What can be done with a resource, each with the line that does it."""

from __future__ import annotations

import shlex

from buildflow_nb.core.primitive import Readable, Wire, Writable, label_of
from buildflow_nb.core.resource_look import Action, Browsable, Purgeable, ResourceLook
from buildflow_nb.flow.resource_names import KnownResource

__all__ = ("MESSAGES", "actions_of", "quoted", "sink_of")

LINE = "%buildflow"
MESSAGES = (Wire.TEXT, Wire.BYTES)


def sink_of(known: KnownResource) -> Writable | None:
    """What takes messages for a resource: itself, or the topic that a subscription belongs to."""
    primitive = known.primitive
    if not isinstance(primitive, Writable):
        primitive = getattr(primitive, "topic", None)
    if isinstance(primitive, Writable) and primitive.sink_wire in MESSAGES:
        return primitive
    return None


def actions_of(known: KnownResource, look: ResourceLook) -> tuple[Action, ...]:
    """The actions, those that only look first."""
    if not look.there:
        return (Action("Look again", f"{LINE} look {quoted(known.name)}"),)
    name = quoted(known.name)
    found: list[Action] = []
    count = "" if look.held is None or look.held.count is None else f"{look.held.count:,} "
    messages = sink_of(known) is not None
    if isinstance(known.primitive, Browsable):
        found += _of_bucket(known.name, name, look)
    elif messages or isinstance(known.primitive, Purgeable):
        found.append(Action("Peek 20", f"{LINE} look {name} --rows 20 --peek"))
    elif isinstance(known.primitive, Readable) or look.contents:
        found.append(Action("As DataFrame", f"df = app.resource({known.name!r}).dataframe(1_000)"))
    if messages:
        found.append(Action("Send…", f"{LINE} put {name} {{…}}", asks=True))
    letters_of = [spec.id for role, spec in known.uses if role == "dead letter"]
    if letters_of and isinstance(known.primitive, Readable):
        label = f"Redrive {count}to {_back(known)}…"
        found.append(Action(label, f"{LINE} redrive {name}", asks=True))
    if isinstance(known.primitive, Purgeable) and count:
        line = f"{LINE} purge {name}"
        found.append(Action(f"Purge {count.strip()}…", line, asks=True, danger=True))
    return tuple(found)


def _back(known: KnownResource) -> str:
    sources = [
        label_of(spec.source).partition(" ")[2]
        for role, spec in known.uses
        if role == "dead letter" and hasattr(spec, "source")
    ]
    return str(sources[0]) if len(sources) == 1 else "where they came from"


def _of_bucket(plain: str, name: str, look: ResourceLook) -> list[Action]:
    prefix = f" --prefix {quoted(look.prefix)}" if look.prefix else ""
    if not look.key_shown:
        return [Action("List", f"{LINE} look {name}{prefix}")]
    key = quoted(look.key_shown)
    return [
        Action("Download", f"{LINE} look {name} --object {key} --download"),
        Action("As DataFrame", f"df = app.resource({plain!r}).dataframe(key={look.key_shown!r})"),
    ]


def quoted(word: str) -> str:
    """A word as a line takes it."""
    return shlex.quote(word)
