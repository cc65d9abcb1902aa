"""A mark of what a stack holds: while it is the same, nobody has changed the stack.

A plan that a person agreed to is carried out only on the state that it was made of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.urn import APPLIED_BY

__all__ = ("mark_of", "state_mark")


def state_mark(deployment: Deployment) -> str:
    """The mark of a state that lies on this machine; "" of any other, and of a damaged one."""
    path = deployment.state
    if path is None:
        return ""
    try:
        latest = read_own(path, dict[str, Any])["checkpoint"].get("latest") or {}
        return mark_of(latest.get("resources") or ())
    except FileNotFoundError:
        return mark_of(())
    except (DamagedError, OSError, LookupError, TypeError, AttributeError):
        return ""


def mark_of(resources: Iterable[Mapping[str, Any]]) -> str:
    """The mark of resources as a state tells them: which they are, as declared, and whose.

    What the cloud made of them is left out: a refresh of another's changes nothing of a plan.
    """
    told = sorted(
        json.dumps(
            (
                one["urn"],
                one.get("id"),
                one.get("inputs"),
                (one.get("outputs") or {}).get(APPLIED_BY),
            ),
            sort_keys=True,
        )
        for one in resources
    )
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
