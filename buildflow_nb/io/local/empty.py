"""A sink that drops everything, for flows whose effect lies elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Self

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Wire, label_of

__all__ = ("Empty",)


class _EmptySink:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def push(self, items: Sequence[object]) -> None:
        """Forget the items."""


@dataclass(frozen=True, slots=True)
class Empty(Injectable):
    """Drops all elements."""

    cloud: ClassVar[str] = "local"
    primitive_id: ClassVar[PrimitiveId] = PrimitiveId("empty")  # one is as good as another
    label: ClassVar[str] = ""
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # anything
    max_push: ClassVar[int] = 100_000  # as many as wait
    linger_s: ClassVar[float] = 0.0  # dropping is cheap

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:  # noqa: ARG002
        """Open a sink."""
        return _EmptySink()

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Nothing can be wrong with it."""
        return [Finding(label_of(self), Health.OK, "is part of this process")]
