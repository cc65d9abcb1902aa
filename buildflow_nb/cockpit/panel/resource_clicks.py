"""What a click on a page of a resource does: the verbs `look`, `put`, `redrive`, `purge`.

What asks first is asked on the page; the line that comes of it has the answer in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from buildflow_nb.cockpit.panel.click_queue import Handler, Said
from buildflow_nb.cockpit.views.resource_list import ResourceList
from buildflow_nb.cockpit.views.resource_page import LookView
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow.resource import Resource
from buildflow_nb.flow.resource_asking import fetched, looked, purged

if TYPE_CHECKING:
    from buildflow_nb.cockpit.cockpit import Cockpit

__all__ = ("resource_handlers",)

Values = Mapping[str, Any]


def resource_handlers(cockpit: Cockpit) -> dict[str, Handler]:
    """The verbs, by their words."""
    verbs = {"look": _look, "put": _put, "redrive": _redrive, "purge": _purge}
    return {word: partial(verb, cockpit) for word, verb in verbs.items()}


def _named(cockpit: Cockpit, values: Values) -> Resource:
    name = values["name"]
    return cockpit.flow().resource(name if isinstance(name, str) else " ".join(name))


def _look(cockpit: Cockpit, values: Values) -> Said | str:
    flow = cockpit.flow().on(values["stack"])
    if not values["name"]:
        cockpit.show(ResourceList(flow.resources(), f"flow {flow.flow_id}"))
        return ""
    resource = flow.resource(" ".join(values["name"]))
    if values["download"]:
        return f"wrote {fetched(resource, values)}"
    look = looked(resource, values)
    cockpit.show(LookView(look))
    return "" if look.there else Said(f"{look.key}: {look.said}", "warn")


def _put(cockpit: Cockpit, values: Values) -> str:
    resource = _named(cockpit, values)
    try:
        element = json.loads(values["element"])
    except (ValueError, RecursionError):
        element = values["element"]
    resource.send(element)
    return f"put a message into {resource.name}"


def _redrive(cockpit: Cockpit, values: Values) -> Said:
    done = _named(cockpit, values).redrive(values["to"], values["number"], values["timeout"])
    return Said(str(done), "warn" if done.left else "ok")


def _purge(cockpit: Cockpit, values: Values) -> str:
    if values["yes"] is None:
        msg = "purge: the name is missing; the page asks for it"
        raise UsageError(msg)
    return purged(_named(cockpit, values), values["yes"])
