"""Abilities that an open source or sink may have besides: without them it works as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from buildflow_nb.core.primitive import Sink
from buildflow_nb.core.trace_context import TraceContext

__all__ = ("Ending", "TracingSink")


@runtime_checkable
class Ending(Protocol):
    """A source that may be read once, from beginning to end: its backlog is what is left then."""

    @property
    def ends(self) -> bool:
        """Whether it does."""
        ...


@runtime_checkable
class TracingSink(Sink, Protocol):
    """A sink that can say with an element which trace it belongs to.

    Without this, a trace ends where it was written.
    """

    async def push_traced(
        self, items: Sequence[object], contexts: Mapping[int, TraceContext]
    ) -> None:
        """As `push`; the items at these positions take along their trace.

        An item for which there is no room is written without it: a trace never costs an element.
        """
        ...
