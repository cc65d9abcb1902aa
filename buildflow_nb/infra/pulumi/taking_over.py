"""Cloud resources that were applied under another name: taken over, or left to whoever has them.

Where no `buildflow.yaml` names the app, each flow has a state of its own in the stack's folder.
The notebooks of a folder used to share one, a notebook that is renamed is a new flow, and a file
that names the app comes or goes; so what a flow declares is looked for in the other states of the
local cloud before it is made again. What nobody there can claim any more moves into the flow's
state, once. What is another's stays, and is refused here: a resource belongs to one flow.

A state is a checkpoint of the engine's file backend, version 3 (`sdk/go/common/apitype` in Pulumi's
repository, `CheckpointV3`); a resource names its stack, its project and itself in its URN.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from buildflow_nb.core.declaring.identity import NAMELESS
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.own_json import read_own
from buildflow_nb.core.project_folder import make_private, write_whole
from buildflow_nb.core.status.operations import Operation
from buildflow_nb.infra.managed import keys_of
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.stack_lock import lock_stack, worked_on
from buildflow_nb.infra.pulumi.urn import APPLIED_BY, owner_of

__all__ = ("left_behind", "take_over")

_PROVIDERS = "pulumi:providers:"
_ROOT = "pulumi:pulumi:Stack"
_CIPHERED = "4dabf18193072939515e22adb298388d"  # of resource/sig in Pulumi's SDK

Resources = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _State:
    """Another flow's state, as it lies in the stack's folder."""

    path: Path
    whole: dict[str, Any]

    @property
    def project(self) -> str:
        return self.path.parent.name

    @property
    def latest(self) -> dict[str, Any]:
        found: dict[str, Any] = self.whole["checkpoint"].get("latest") or {}
        return found

    @property
    def resources(self) -> Resources:
        found: Resources = self.latest.get("resources") or []
        return found

    @property
    def primitives(self) -> dict[str, dict[str, Any]]:
        """Their nodes, by class and id."""
        named = ((owner_of(one["urn"]), one) for one in self.resources)
        return {key: node for key, node in named if key}


def take_over(deployment: Deployment, operation: Operation) -> str:
    """Move what the flow declares and nobody claims into its state; says so, or "".

    Called by whoever holds the stack's held. A destroy takes nothing over: it deletes what the
    flow has, and what a plan of it has shown.

    Raises:
        InfraError: what the flow declares was applied by another, who is still there, or whose
            last operation was cut off.
    """
    mine = _place_of(deployment)
    if mine is None or operation is Operation.DESTROY:
        return ""
    here = _State(mine, _read(mine) or {"checkpoint": {}}).primitives
    wanted = keys_of(deployment.managed)
    if operation is Operation.APPLY:
        _refuse_at_once(deployment, wanted - here.keys())
    said = []
    for other in _others(mine):
        found = wanted & other.primitives.keys()
        for key in sorted(found - here.keys()):
            if _others_claim(deployment, other, key):
                raise _refusal(key, other)
        found = frozenset(k for k in found if not _others_claim(deployment, other, k))
        if found:
            with _locked(deployment, other, operation):
                said.append(_taken(deployment, other.path, found))
    return "; ".join(filter(None, said))


def _refuse_at_once(deployment: Deployment, new: Set[str]) -> None:
    """Two that apply the same new primitive at once would both own it; each sees the other here.

    Raises:
        InfraError: another flow is at it.
    """
    name = deployment.lock.name
    for lock in (deployment.home / name, *(deployment.home / "flows").glob(f"*/{name}")):
        who, keys = worked_on(lock) if lock != deployment.lock else ("", frozenset[str]())
        if new & keys:
            msg = f"{min(new & keys)} is being applied {who}; a cloud resource belongs to one flow"
            raise InfraError(msg)


def left_behind(deployment: Deployment) -> list[str]:
    """What flows have applied whose notebook or program is gone, a line for each."""
    mine = _place_of(deployment)
    found = []
    for other in _others(mine) if mine is not None else ():
        gone = [
            key
            for key, node in other.primitives.items()
            if _applied_by(node) not in ("", NAMELESS)  # which was no file
            and not _is_there(deployment, _applied_by(node))
        ]
        if gone:
            name = repr(other.project)
            found.append(
                f"{', '.join(sorted(gone))}: applied as {name}, whose file is gone; declare it "
                f"to take it over, or Flow({name}).destroy() deletes it"
            )
    return found


def _place_of(deployment: Deployment) -> Path | None:
    """Where the states lie that may be looked into: a place that is named may be shared."""
    stack = deployment.stack
    local = stack.cloud == "local" and stack.backend_url is None
    return deployment.state if local else None


@contextmanager
def _locked(deployment: Deployment, other: _State, operation: Operation) -> Iterator[None]:
    """Keep everybody else from the other state, by the locks of this version and the one before.

    Raises:
        InfraError: somebody works on it, or was cut off at it and has to mend it first.
    """
    with ExitStack() as stack:
        kinds = (replace(deployment, project=other.project, own=own) for own in (True, False))
        for lock in [kind.lock for kind in kinds if kind.lock != deployment.lock]:
            held = stack.enter_context(
                lock_stack(lock, deployment.stack.name, operation, deployment.identity)
            )
            if held.unfinished is not None:
                msg = (
                    f"an operation of {other.project!r} was cut off; Flow({other.project!r})."
                    "refresh() mends what it left, and then it can be taken over"
                )
                raise InfraError(msg)
        yield


def _taken(deployment: Deployment, path: Path, keys: Set[str]) -> str:
    """Move what is to go, and say so."""
    whole = _read(path)  # as it is now that nobody else works on it
    mine = deployment.state
    if whole is None or mine is None:
        return ""
    other = _State(path, whole)
    if other.latest.get("pending_operations"):
        return ""  # an operation was cut off there: its own flow looks up what came of it
    moved = _moved(other, deployment, mine, keys)
    left = other.primitives.keys() - keys
    rest = f"; left there: {', '.join(sorted(left))}, which Flow({other.project!r}) has"
    said = f"took over {', '.join(sorted(moved))}, applied before as {other.project!r}"
    return said + (rest if left else "") if moved else ""


def _applied_by(node: Mapping[str, Any]) -> str:
    return str((node.get("outputs") or {}).get(APPLIED_BY) or "")


def _is_there(deployment: Deployment, who: str) -> bool:
    return (deployment.folder / who).exists()


def _others_claim(deployment: Deployment, other: _State, key: str) -> bool:
    """Whether a primitive was applied by somebody else who is still there.

    One file may make several flows, each with a state of its own; only the app's changes hands with
    the file that names it.
    """
    who = _applied_by(other.primitives[key])
    if who == deployment.identity:
        has_own = (deployment.home / "flows" / other.project).exists()
        return deployment.own and has_own
    return bool(who) and _is_there(deployment, who)


def _refusal(key: str, other: _State) -> InfraError:
    who = f"{_applied_by(other.primitives[key])} (flow {other.project!r})"
    return InfraError(
        f"{key} was applied by {who}, and a cloud resource belongs to one flow; use it here "
        "without app.manage(…), or destroy it there first"
    )


def _others(mine: Path) -> Iterator[_State]:
    """The other flows' states of the same stack, those that can be read, on the local cloud."""
    for path in sorted(mine.parent.parent.glob(f"*/{mine.name}")):
        state = _read(path) if path != mine else None
        if state is not None and _on_local_cloud(_State(path, state)):
            yield _State(path, state)


def _on_local_cloud(state: _State) -> bool:
    """Whether its providers call this machine: the stack may have been a real cloud's before."""
    providers = [one for one in state.resources if str(one["type"]).startswith(_PROVIDERS)]
    return all("127.0.0.1" in json.dumps(one.get("inputs")) for one in providers)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        whole = read_own(path, dict[str, Any])
        found = _State(path, whole).resources
        sound = all(isinstance(one["urn"], str) and isinstance(one["type"], str) for one in found)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # a damaged one is its own flow's to mend
    return whole if sound else None


def _moved(other: _State, deployment: Deployment, mine: Path, keys: Set[str]) -> Set[str]:
    """Move primitives with their resources; gives those that were not here yet.

    What is here already was moved before, and the end came between the two states.
    """
    before = _State(mine, _read(mine) or {"checkpoint": {}})
    new = keys - before.primitives.keys()
    if new:
        made = _State(mine, _renamed(other, _below(other.resources, new), deployment))
        _write(mine, _joined(before, made) if before.resources else made.whole)
    going = _below(other.resources, keys)
    _write(other.path, _with(other, _used([r for r in other.resources if r["urn"] not in going])))
    return new


def _joined(mine: _State, made: _State) -> dict[str, Any]:
    """A state with what comes to it; providers that both have stay, with the ids that they have.

    What is encrypted was encrypted with the other state's salt. Only providers have such values,
    those of the local cloud, and the engine sets them anew.
    """
    known = {one["urn"]: one for one in mine.resources}
    ids = {urn: f"{urn}::{one.get('id', '')}" for urn, one in known.items() if _own(one)}
    coming = []
    for one in made.resources:
        if one["urn"] in known:
            continue
        provider = str(one.get("provider", "")).rpartition("::")[0]
        again = {**one, "provider": ids[provider]} if provider in ids else one
        coming.append(_readable(again))
    return _with(mine, [*mine.resources, *coming])


def _readable(value: Any) -> Any:
    """A value without what another state's salt has encrypted."""
    if isinstance(value, dict):
        if _CIPHERED in value:
            return ""
        return {key: _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


def _below(resources: Iterable[Mapping[str, Any]], keys: Set[str]) -> set[str]:
    """The URNs of primitives and of all that belongs to them."""
    found: set[str] = set()
    for one in resources:  # parents come first in a state
        if owner_of(one["urn"]) in keys or one.get("parent") in found:
            found.add(one["urn"])
    return found


def _renamed(other: _State, going: Set[str], deployment: Deployment) -> dict[str, Any]:
    """A state of what goes, with the providers that it needs, under the flow's name."""
    stack, project = deployment.stack.name, deployment.name
    kept = _used([_mine(r, deployment) for r in other.resources if r["urn"] in going or _own(r)])
    text = json.dumps(_with(other, kept))
    begin = f"urn:pulumi:{stack}::"
    for old, new in (
        (f"::{_ROOT}::{other.project}-{stack}", f"::{_ROOT}::{project}-{stack}"),
        (f"{begin}{other.project}::", f"{begin}{project}::"),
        (f"organization/{other.project}/{stack}", f"organization/{project}/{stack}"),
    ):
        text = text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
    made: dict[str, Any] = json.loads(text)
    return made


def _mine(resource: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    if not owner_of(resource["urn"]):
        return resource
    kept = {**(resource.get("outputs") or {}), APPLIED_BY: deployment.identity}
    return {**resource, "outputs": kept}


def _own(resource: Mapping[str, Any]) -> bool:
    return str(resource["type"]).startswith((_PROVIDERS, _ROOT))


def _used(resources: Resources) -> Resources:
    """Without providers that nothing needs any more."""
    needed = {str(one.get("provider", "")).rpartition("::")[0] for one in resources}
    return [
        one
        for one in resources
        if not str(one["type"]).startswith(_PROVIDERS) or one["urn"] in needed
    ]


def _with(state: _State, resources: Resources) -> dict[str, Any]:
    """The same state with other resources; an empty one has no root either."""
    alone = all(_own(one) for one in resources)
    latest = {**state.latest, "resources": [] if alone else resources}
    return {**state.whole, "checkpoint": {**state.whole["checkpoint"], "latest": latest}}


def _write(path: Path, state: Mapping[str, Any]) -> None:
    make_private(path.parent)
    write_whole(path, json.dumps(state, indent=4).encode())
