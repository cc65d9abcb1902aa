"""Primitives that are another on each cloud: what the stack makes of them.

`Queue("orders")` is an SQS queue where the stack is on AWS and a Pub/Sub topic where it is on
Google's cloud. A flow resolves them when they are declared, so that everything after that deals
with the primitive itself; what it was declared as stays with it, for whoever shows it, and for the
same declarations on another stack.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol, runtime_checkable

from buildflow_nb.core.primitive import Env, label_of

__all__ = ("Portable", "Role", "declared_as", "elsewhere", "placed", "with_origin")

Role = str  # "source", "sink", "dead letter", "managed", "dependency"
_DECLARED = "__buildflow_portable__"


@runtime_checkable
class Portable(Protocol):
    """A primitive that says what it is on a stack."""

    @property
    def primitive_id(self) -> str:
        """Its name, wherever it is."""
        ...

    def placed(self, env: Env, role: Role) -> tuple[object, ...]:
        """What it is on this stack, in this role: one primitive, or several that are managed.

        Raises:
            DeclarationError: it is nothing there; says what to take in its place.
        """
        ...


def placed(primitive: object, env: Env, role: Role) -> tuple[object, ...]:
    """What a primitive is on a stack: itself, unless it is portable.

    Raises:
        DeclarationError: it is nothing there.
    """
    if isinstance(primitive, type) or not isinstance(primitive, Portable):
        return (primitive,)
    found = primitive.placed(env, role)
    for one in found:
        with suppress(AttributeError):  # one of your own may have no room for it
            object.__setattr__(one, _DECLARED, (primitive, role))
    return found


def elsewhere(primitive: object, env: Env) -> tuple[object, ...]:
    """The same on another stack, where a portable one may be several that are managed.

    Raises:
        DeclarationError: it is nothing there.
    """
    found = getattr(primitive, _DECLARED, None)
    return (primitive,) if found is None else placed(found[0], env, found[1])


def with_origin(primitive: object) -> str:
    """A primitive as people call it, with what it was declared as."""
    declared = declared_as(primitive)
    return f"{label_of(primitive)} ({declared})" if declared else label_of(primitive)


def declared_as(primitive: object) -> str:
    """What a primitive was declared as ("Queue orders"); "" if as what it is."""
    found = getattr(primitive, _DECLARED, None)
    return "" if found is None else label_of(found[0])
