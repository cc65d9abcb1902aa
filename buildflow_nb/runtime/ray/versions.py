"""Whether a machine of a cluster can run what this one sends it.

What is sent refers to this package by the names of its modules, and to the user's code by Python's
own instructions; both change between versions, and then fail in ways that say nothing of it. Ray
compares its own version and Python's when it is joined; of this package it knows nothing.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

__all__ = ("EXTRA", "PACKAGE", "Versions", "cannot", "mismatch", "our_versions", "told_by_ray")

PACKAGE = "buildflow-nb"
EXTRA = "pip install 'buildflow_nb[ray]'"
UNKNOWN = "unknown"  # importable, but not installed


@dataclass(frozen=True, slots=True)
class Versions:
    """What a machine has; "" where it has none."""

    package: str
    python: str
    ray: str

    @classmethod
    def told(cls, about: Mapping[str, object]) -> Versions:
        """As an actor tells them."""
        return cls(*(str(about.get(name, "")) for name in ("package", "python", "ray")))


def our_versions() -> Versions:
    """What this machine has; finds out without importing Ray."""
    return Versions(
        _version(PACKAGE) or UNKNOWN, platform.python_version(), _version("ray") or UNKNOWN
    )


def cannot() -> str:
    """Why Ray cannot be used here at all, with what to do about it; "" if it can."""
    if sys.platform == "win32":
        return "the Ray engine works on Linux and macOS only; leave out the engine"
    if importlib.util.find_spec("ray") is not None:
        return ""
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return "Ray has no package for Macs with an Intel processor; leave out the engine"
    return f"the Ray engine needs Ray: {EXTRA}"


def mismatch(ours: Versions, theirs: Versions, node: str) -> str:
    """Why a machine cannot run what this one sends, with what to do about it; "" if it can."""
    if not theirs.package:
        what = f"buildflow_nb is not installed on {node}"
        return f"{what}; install {_pinned(ours)} there, as it is here"
    if UNKNOWN not in (ours.package, theirs.package) and ours.package != theirs.package:
        what = f"buildflow_nb is {theirs.package} on {node}, and {ours.package} here"
        return f"{what}; install the same version on both"
    if _minor(ours.python) != _minor(theirs.python):
        what = f"Python is {theirs.python} on {node}, and {ours.python} here"
        return f"{what}; run the same version on both"
    if UNKNOWN not in (ours.ray, theirs.ray) and ours.ray != theirs.ray:
        what = f"Ray is {theirs.ray} on {node}, and {ours.ray} here"
        return f"{what}; install the same version on both"
    return ""


def told_by_ray(said: str, node: str) -> str:
    """What Ray says about versions as it is joined, in one line; "" if that is not what it says."""
    if "Version mismatch" not in said:
        return ""
    rays, pythons = _RAY.findall(said), _PYTHON.findall(said)
    if len(rays) != 2 or len(pythons) != 2:  # noqa: PLR2004  (the cluster's, and this process')
        return ""
    if rays[0] != rays[1]:
        what = f"Ray is {rays[0]} on {node}, and {rays[1]} here"
    else:
        what = f"Python is {pythons[0]} on {node}, and {pythons[1]} here"
    return f"{what}; install the same version on both"


_RAY = re.compile(r"^\s*Ray: (\S+)", re.MULTILINE)
_PYTHON = re.compile(r"^\s*Python: (\S+)", re.MULTILINE)


def _pinned(ours: Versions) -> str:
    return "it" if ours.package == UNKNOWN else f"buildflow_nb=={ours.package}"


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
