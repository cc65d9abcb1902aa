"""What a flow declares, as a tree of plain text; a pipe and a terminal show the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ("state_text",)


def state_text(state: Mapping[str, Any]) -> str:
    """Write a flow state (`core/flow_state.py`): its processors, then its primitives."""
    head = f"flow {state['flow_id']!r} on stack {state['stack']!r}"
    versions = f"Python {state['python_version']}, buildflow_nb {state['buildflow_version']}"
    groups = state["processor_group_states"]
    primitives = state["primitive_states"]
    return "\n".join(
        [
            f"{head}  ({versions})",
            "processors:" if groups else "no processor yet",
            *(line for group in groups for line in _group(group)),
            "primitives:" if primitives else "no primitive yet",
            *_primitives(primitives),
        ]
    )


def _group(group: Mapping[str, Any]) -> Iterator[str]:
    inner = group["processor_states"]
    if group["processor_group_type"] == "service":
        base = group["group_info"].get("base_route", "/")
        yield f"  service {group['processor_group_id']}  {base}"
        yield from (f"    {_processor(one, '')}" for one in inner)
        return
    route = group["group_info"].get("base_route", "")
    yield from (f"  {_processor(one, route)}" for one in inner)


def _processor(one: Mapping[str, Any], route: str) -> str:
    info = one["processor_info"]
    head = f"{one['processor_type']} {one['processor_id']}"
    if "method" in info:
        return f"{head}  {info['method']} {info['route']}"
    begin = info.get("source_id") or route
    arrow = f"{begin} -> {info.get('sink_id') or '-'}".strip()
    return f"{head}  {arrow}"


def _primitives(primitives: list[Mapping[str, Any]]) -> Iterator[str]:
    width = max((len(one["primitive_name"]) for one in primitives), default=0)
    for one in primitives:
        facts = [f"on {one['primitive_type']}", "managed" if one["managed"] else "not managed"]
        if one["primitive_dependencies"]:
            facts.append(f"made with {', '.join(one['primitive_dependencies'])}")
        if one["resource_url"]:
            facts.append(one["resource_url"])
        yield f"  {one['primitive_name']:<{width}}  {one['primitive_id']}  ({'; '.join(facts)})"
