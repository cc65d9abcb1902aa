"""Where an actor may be put, and what it waits for as long as there is no room for it."""

from __future__ import annotations

from collections.abc import Iterable

from buildflow_nb.runtime.ray.messages import Machine
from buildflow_nb.runtime.replicas.host import Wants

__all__ = ("has_room", "impossible", "lacking")

_UNITS = {"CPU": "CPU", "GPU": "GPU", "memory": "GB of memory"}
GB = 1e9
ENOUGH = 1e-4  # Ray counts in ten thousandths


def has_room(wants: Wants, machines: Iterable[Machine]) -> bool:
    """Whether one of the machines has free what is wanted."""
    return any(not _short(wants, machine.free) for machine in _allowed(wants, machines))


def impossible(wants: Wants, machines: Iterable[Machine]) -> str:
    """What this machine, which alone is allowed, will never have; "" if there is nothing."""
    allowed = _allowed(wants, machines) if wants.here else []
    never = bool(allowed) and all(_short(wants, machine.total) for machine in allowed)
    return lacking(wants, allowed) if never else ""


def lacking(wants: Wants, machines: Iterable[Machine]) -> str:
    """What is lacking: "needs 1 CPU, the cluster has 0 of 2 free"; "" if nothing is."""
    allowed = _allowed(wants, machines)
    if not allowed:
        return "the cluster has no machine"
    if has_room(wants, allowed):
        return ""
    never = [_short(wants, machine.total) for machine in allowed]
    if all(never):
        name = min(never, key=len)[0]
        most = max(machine.total.get(name, 0.0) for machine in allowed)
        where = "this machine has" if wants.here else "no machine of the cluster has more than"
        return f"needs {_amount(name, _wanted(wants)[name])}, {where} {_number(name, most)}"
    # None has room for all of it: told is what the one that comes nearest is short of.
    able = [one for one, short in zip(allowed, never, strict=True) if not short]
    short = min((_short(wants, machine.free) for machine in able), key=len)
    name = short[0]
    free = sum(machine.free.get(name, 0.0) for machine in allowed)
    total = sum(machine.total.get(name, 0.0) for machine in allowed)
    where = "this machine has" if wants.here else "the cluster has"
    needs = _amount(name, _wanted(wants)[name])
    together = "" if wants.here or free + ENOUGH < _wanted(wants)[name] else " on one machine"
    return f"needs {needs}{together}, {where} {_number(name, free)} of {_number(name, total)} free"


def _allowed(wants: Wants, machines: Iterable[Machine]) -> list[Machine]:
    return [machine for machine in machines if machine.here or not wants.here]


def _wanted(wants: Wants) -> dict[str, float]:
    asked = {"CPU": wants.num_cpus, "GPU": wants.num_gpus, "memory": float(wants.memory)}
    return {name: much for name, much in asked.items() if much > 0}


def _short(wants: Wants, there: dict[str, float]) -> list[str]:
    return [n for n, much in _wanted(wants).items() if there.get(n, 0.0) + ENOUGH < much]


def _number(name: str, much: float) -> str:
    return f"{much / GB:.1f}" if name == "memory" else f"{round(much, 3):g}"


def _amount(name: str, much: float) -> str:
    unit = _UNITS[name]
    plural = "s" if name != "memory" and much > 1 else ""
    return f"{_number(name, much)} {unit}{plural}"
