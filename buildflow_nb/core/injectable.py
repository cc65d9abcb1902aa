"""What every primitive can do: be injected into a processor, as it is."""

from __future__ import annotations

from typing import Any

__all__ = ("Injectable",)


class Injectable:
    """A primitive that a processor, or a dependency, may take as a parameter."""

    __slots__ = ("__buildflow_portable__",)  # what it was declared as (`core/portable.py`)

    def dependency(self) -> Any:
        """An annotation; a parameter that has it gets this primitive."""
        from buildflow_nb.core.declaring.dependencies import PrimitiveDependency

        return PrimitiveDependency(self)
