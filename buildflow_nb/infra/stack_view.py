"""A stack as its state file says: no engine is started, no lock is taken, nothing is asked.

While an operation runs, it is what the engine wrote last. A state that is not in a folder of this
machine is the engine's to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from buildflow_nb.core.errors import ConfigError, DeclarationError
from buildflow_nb.core.own_json import read_own
from buildflow_nb.core.primitive import Managed, key_of
from buildflow_nb.core.status.stack_view import StackResource, StackView
from buildflow_nb.infra.managed import in_order
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.urn import APPLIED_BY, COMPONENT, name_of, owner_of

__all__ = ("view_of",)

_OWN = ("pulumi:", COMPONENT)  # the engine's own resources, and the nodes of primitives


def view_of(deployment: Deployment, *, local: bool) -> StackView:
    """What the stack holds, and what of it is declared."""
    stack = deployment.stack.name
    try:
        declared = in_order(deployment.managed)
        latest = _latest(deployment)
    except (ConfigError, DeclarationError, _UnreadableError) as error:
        return StackView(stack, local, unknown=str(error))
    resources = [r for r in latest.get("resources") or () if not r.get("delete")]
    held = dict.fromkeys(owner_of(r["urn"]) for r in resources)
    named = {key_of(p): p for p in declared}
    return StackView(
        stack,
        local,
        _when(latest),
        tuple(_resources(resources, named, local=local)),
        tuple(name_of(p["resource"]["urn"]) for p in latest.get("pending_operations") or ()),
        tuple(key for key in named if key not in held),
        tuple(owner for owner in held if owner and owner not in named),
        applied_by={owner_of(r["urn"]): _who(r) for r in resources if owner_of(r["urn"])},
    )


class _UnreadableError(Exception):
    """There is a state, and it cannot be read here."""


def _latest(deployment: Deployment) -> Mapping[str, Any]:
    path = deployment.state
    if path is None:
        kept = deployment.backend.partition("://")[0]
        msg = f"its state is kept at {kept}://…, which the engine reads: %buildflow preview"
        raise _UnreadableError(msg)
    try:
        state = read_own(path, dict[str, Any])
        latest: Mapping[str, Any] = state["checkpoint"].get("latest") or {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"its state {path} is damaged; the next operation looks for the last whole one"
        raise _UnreadableError(msg) from error
    return latest


def _who(resource: Mapping[str, Any]) -> str:
    return str((resource.get("outputs") or {}).get(APPLIED_BY) or "")


def _when(latest: Mapping[str, Any]) -> float | None:
    told = (latest.get("manifest") or {}).get("time")
    try:
        return datetime.fromisoformat(str(told)).timestamp()
    except ValueError:
        return None


def _resources(
    found: Iterable[Mapping[str, Any]], named: Mapping[str, Managed], *, local: bool
) -> Iterable[StackResource]:
    for one in sorted(found, key=lambda one: str(one["urn"])):
        if one["type"].startswith(_OWN):
            continue
        owner = owner_of(one.get("parent") or "")
        url = "" if local else _page(named.get(owner))
        yield StackResource(one["type"], name_of(one["urn"]), owner, one.get("id") or "", url)


def _page(primitive: Managed | None) -> str:
    """The page of a primitive in its cloud's console, if it knows one."""
    tell = getattr(primitive, "cloud_console_url", None)
    return str(tell()) if callable(tell) else ""
