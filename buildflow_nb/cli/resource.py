"""Looking into one resource of the project's flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buildflow_nb.cli.entry import flow_asked
from buildflow_nb.cli.output.terminal import Terminal

__all__ = ("look",)

ABSENT = 1  # the exit code where it cannot be looked into
Values = Mapping[str, Any]


def look(values: Values, terminal: Terminal) -> int:
    """How much is in a resource, and what; without a name, which there are."""
    from buildflow_nb.cockpit.views.resource_list import ResourceList
    from buildflow_nb.cockpit.views.resource_text import resource_text
    from buildflow_nb.flow.resource_asking import fetched, looked

    flow = flow_asked(values)
    if not values["name"]:
        found = flow.resources()
        terminal.give(found, repr(ResourceList(found, f"flow {flow.flow_id}")))
        return 0
    resource = flow.resource(" ".join(values["name"]))
    if values["download"]:
        path = fetched(resource, values)
        terminal.give({"path": str(path), "bytes": path.stat().st_size}, f"wrote {path}")
        return 0
    seen = looked(resource, values)
    terminal.give(seen, resource_text(seen))
    return 0 if seen.there else ABSENT
