"""A sink to push to from the inside of a processor, beside the one that it declares."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, ClassVar, Protocol

from buildflow_nb.core.declaring.dependencies import Ambient, dependency
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.portable import Portable
from buildflow_nb.core.primitive import Writable

__all__ = ("SinkDependencyBuilder",)


class OpenSink(Protocol):
    """What a dependency of this kind is made of; the runtime opens it."""

    __buildflow_ambient__: ClassVar[Ambient] = Ambient.SINK

    def push(self, elements: Sequence[object]) -> Awaitable[None]:
        """Begin to push."""
        ...


class SinkDependency:
    """Pushes to a sink; its class is made by `SinkDependencyBuilder`."""

    def __init__(self, sink: OpenSink) -> None:
        self._sink = sink

    def push(self, data: object) -> Awaitable[None]:
        """Push one element: a dataclass or another record, a dict, text or bytes.

        It begins at once. Awaiting it waits until the element is stored; one that is not awaited is
        stored before the element of the processor is settled, or fails it.

        Raises:
            ConversionError: the sink has no form for it.
            Exception: when awaited: why it is not stored.
        """
        return self._sink.push((data,))

    def push_batch(self, data: Iterable[object]) -> Awaitable[None]:
        """Push several elements, as `push`."""
        return self._sink.push(tuple(data))


def SinkDependencyBuilder(primitive: object) -> Any:  # noqa: N802  (BuildFlow's name)
    """Make a dependency of scope REPLICA whose `push` and `push_batch` write to a primitive.

    They go through the pipeline's own writer: temporary faults are waited out, in a consumer for as
    long as they last. What cannot be stored fails the element that pushed it, which is then retried
    and dead-lettered like any other.

    Raises:
        DeclarationError: the primitive cannot be written.
    """
    if isinstance(primitive, type) or not isinstance(primitive, (Writable, Portable)):
        what = type(primitive).__name__
        msg = f"SinkDependencyBuilder takes a primitive that can be written, got {what}"
        raise DeclarationError(msg)
    members = {"__buildflow_primitive__": primitive, "__module__": __name__}
    return dependency(Scope.REPLICA)(type("SinkDependency", (SinkDependency,), members))
