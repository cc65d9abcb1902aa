"""A stack as it is, in plain text: for a terminal, and as the twin of a card."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from buildflow_nb.core.status.stack_view import StackView

__all__ = ("stack_facts", "stack_text")


def stack_text(view: StackView) -> str:
    """The stack and each of its resources below the primitive that it belongs to."""
    return "\n".join([stack_facts(view), *_owned(view), *_notes(view)])


def stack_facts(view: StackView) -> str:
    """The stack in one line."""
    cloud = "the local cloud" if view.local else "a real cloud"
    head = f"stack {view.stack} on {cloud}"
    if view.unknown:
        return f"{head}: unknown; {view.unknown}"
    if view.changed_at is None:
        return f"{head}: nothing was ever applied"
    count = len(view.resources)
    at = datetime.fromtimestamp(view.changed_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{head}: {count} resource{'s' if count != 1 else ''}, last changed {at}"


def _owned(view: StackView) -> Iterator[str]:
    owners = dict.fromkeys(resource.owner for resource in view.resources)
    for owner in owners:
        yield f"  {owner or 'of no primitive'}"
        for one in view.resources:
            if one.owner == owner:
                yield "    " + "  ".join(filter(None, (one.type, one.name, one.id, one.url)))


def _notes(view: StackView) -> Iterator[str]:
    if view.pending:
        yield f"  ▲ cut off: {', '.join(view.pending)}; the next operation looks it up"
    if view.missing:
        yield f"  ▲ declared and not applied: {', '.join(view.missing)}; %buildflow apply makes it"
    if view.undeclared:
        gone = ", ".join(_whose(view, one) for one in view.undeclared)
        yield f"  ▲ applied and not declared: {gone}; %buildflow apply deletes it, once confirmed"


def _whose(view: StackView, primitive: str) -> str:
    who = view.applied_by.get(primitive, "")
    return f"{primitive} (by {who})" if who else primitive
