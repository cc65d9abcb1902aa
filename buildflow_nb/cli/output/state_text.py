"""What a flow declares, as plain text; `tables.py` has its twin in colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from buildflow_nb.core.primitive import stack_said

__all__ = ("headline", "primitive_facts", "processor_line", "state_text")


def state_text(state: Mapping[str, Any], cloud: str = "") -> str:
    """Write a flow state (`core/status/flow_state.py`): its processors, then its primitives.

    `cloud` is the one that its stack is on, which the state does not tell.
    """
    groups = state["processor_group_states"]
    primitives = state["primitive_states"]
    return "\n".join(
        [
            headline(state, cloud),
            "processors:" if groups else "no processor yet",
            *(line for group in groups for line in _group(group)),
            "primitives:" if primitives else "no primitive yet",
            *_primitives(primitives),
        ]
    )


def headline(state: Mapping[str, Any], cloud: str = "") -> str:
    """Which flow it is, and of what it runs."""
    head = f"flow {state['flow_id']!r} on stack {stack_said(state['stack'], cloud)}"
    versions = f"Python {state['python_version']}, buildflow_nb {state['buildflow_version']}"
    return f"{head}  ({versions})"


def _group(group: Mapping[str, Any]) -> Iterator[str]:
    inner = group["processor_states"]
    if group["processor_group_type"] == "service":
        base = group["group_info"].get("base_route", "/")
        yield f"  service {group['processor_group_id']}  {base}"
        yield from (f"    {processor_line(one, '')}" for one in inner)
        return
    route = group["group_info"].get("base_route", "")
    yield from (f"  {processor_line(one, route)}" for one in inner)


def processor_line(one: Mapping[str, Any], route: str) -> str:
    """A processor with its source, sink or route; `route` is that of its group."""
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
        name = f"{one['primitive_name']:<{width}}  {one['primitive_id']}"
        yield f"  {name}  ({primitive_facts(one)})"


def primitive_facts(one: Mapping[str, Any]) -> str:
    """Where a primitive is, whether the flow manages it, and what it is made with."""
    facts = [f"on {one['primitive_type']}", "managed" if one["managed"] else "not managed"]
    if one["primitive_dependencies"]:
        facts.append(f"made with {', '.join(one['primitive_dependencies'])}")
    if one["resource_url"]:
        facts.append(one["resource_url"])
    return "; ".join(facts)
