"""What the last run of a project has measured, in a small file below `.buildflow`.

It is written by whoever looks at a plan beside a run, and read for what a plan costs: a restarted
kernel, a terminal and another notebook of the folder know the rates of the last run, too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from buildflow_nb.core.config import Config
from buildflow_nb.core.own_json import read_own
from buildflow_nb.core.pricing import Usage
from buildflow_nb.core.project_folder import PRIVATE, private_folder, write_whole
from buildflow_nb.infra.plan_price import KnownUsage

__all__ = ("known_usage", "note_usage")

FILE = "usage.json"
MOST = 10_000  # resources of a file


def known_usage(config: Config) -> KnownUsage:
    """What buildflow.yaml says, and what was measured last."""
    measured, when = _read(config.folder / PRIVATE / FILE)
    return KnownUsage(config.usage, measured, when)


def note_usage(folder: Path, measured: Mapping[str, Usage], at: float) -> None:
    """Keep what a run has measured, beside what others have; whatever is wrong, it is not kept.

    Raises:
        OSError: it cannot be written.
    """
    path = private_folder(folder) / FILE
    before, _ = _read(path)
    found = before | {
        key: one.plausible().over(before.get(key, Usage())) for key, one in measured.items()
    }
    rows = {key: msgspec.to_builtins(usage) for key, usage in list(found.items())[-MOST:]}
    write_whole(path, msgspec.json.encode({"at": at, "resources": rows}))


def _read(path: Path) -> tuple[dict[str, Usage], str]:
    try:
        told = read_own(path, dict[str, Any])
        told_of = msgspec.convert(told["resources"], dict[str, Usage])
        rows = {key: usage.plausible() for key, usage in told_of.items()}
        return rows, time.strftime("%d %b", time.localtime(float(told["at"]))).lstrip("0")
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return {}, ""
