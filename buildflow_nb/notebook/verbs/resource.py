"""One resource in a person's hands: looked into, fetched from, sent to, redriven, purged."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.cockpit.views.resource_list import ResourceList
from buildflow_nb.cockpit.views.resource_page import LookView
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow.resource import Resource
from buildflow_nb.flow.resource_asking import fetched, looked, purged
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.elements import value_of
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


def _resource(session: Session, values: Values) -> Resource:
    name = values["name"]
    return session.flow().resource(name if isinstance(name, str) else " ".join(name))


def _look(session: Session, values: Values) -> LookView | ResourceList | None:
    flow = session.flow().on(values["stack"])
    if not values["name"]:
        return ResourceList(flow.resources(), f"flow {flow.flow_id} on stack {flow.stack}")
    resource = flow.resource(" ".join(values["name"]))
    if values["download"]:
        say(f"wrote {fetched(resource, values)}")
        return None
    return LookView(looked(resource, values))


def _put(session: Session, values: Values) -> None:
    resource = _resource(session, values)
    try:
        element = value_of(values["element"], session.names)
    except UsageError:
        element = values["element"]  # text, as it was typed
    resource.send(element)
    say(f"put into {resource.key}")


def _redrive(session: Session, values: Values) -> None:
    resource = _resource(session, values)
    say(str(resource.redrive(values["to"], values["number"], values["timeout"])))


def _purge(session: Session, values: Values) -> None:
    say(purged(_resource(session, values), values["yes"]))


VERBS: Mapping[str, Verb] = {
    "look": _look,
    "put": _put,
    "redrive": _redrive,
    "purge": _purge,
}
