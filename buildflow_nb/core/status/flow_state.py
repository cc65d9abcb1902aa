"""A flow as BuildFlow's `flowstate()` tells it: its primitives, and its processors in their groups.

It is data for programs: the same in a notebook, in the program exported from it, on the control
server and by `buildflow inspect --json`. Nothing in it is a secret, and nothing of a run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ("FlowState", "PrimitiveState", "ProcessorGroupState", "ProcessorState")


@dataclass(frozen=True, slots=True)
class PrimitiveState:
    """A primitive that the flow reads, writes or manages.

    `primitive_name` is its class, `primitive_type` its cloud ("aws", "gcp", "local"; "agnostic" for
    those that say none), `resource_url` its page in the cloud's console. `primitive_dependencies`
    are the ids of those that it is made with. `declared_as` is the portable one that stands in the
    code ("Queue orders"), None where that is itself.
    """

    primitive_id: str
    primitive_name: str
    primitive_type: str
    managed: bool
    resource_url: str | None
    primitive_dependencies: tuple[str, ...]
    declared_as: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessorState:
    """A processor; its info is `{source_id, sink_id}`, `{sink_id}` or `{route, method}`."""

    processor_id: str
    processor_type: str
    processor_info: Mapping[str, str | None]
    primitive_dependencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessorGroupState:
    """Processors that are scaled together: the endpoints of a service, or one other processor."""

    processor_group_id: str
    processor_group_type: str
    processor_states: tuple[ProcessorState, ...]
    group_info: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FlowState:
    """All that a flow declares, on one stack; it may be awaited, and is there at once."""

    flow_id: str
    stack: str
    primitive_states: tuple[PrimitiveState, ...]
    processor_group_states: tuple[ProcessorGroupState, ...]
    python_version: str
    ray_version: str | None
    buildflow_version: str

    def to_dict(self) -> dict[str, Any]:
        """Give it as dicts, lists and texts, for JSON and YAML."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    def __await__(self) -> Generator[None, None, Self]:
        return self
        yield


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
