"""The last whole state of a stack, kept aside, and room on the disk for the next one.

On a full disk the engine leaves its state file, and its own backup of it, cut off in the middle
(seen with 3.259 and a file backend). So no operation begins without room for its state, and where
a state is found damaged all the same, the last whole one takes its place; the refresh that follows
finds what has changed since. Only states in folders of this machine need this.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.project_folder import read_private, write_whole
from buildflow_nb.infra.pulumi.deployment import Deployment

__all__ = ("ROOM_BYTES", "LastState")

ROOM_BYTES = 16 << 20  # a state of a thousand resources is about 4 MB, and is written beside itself


class LastState:
    """Keeps a copy of one stack's state; used by whoever holds the stack's lock."""

    def __init__(self, deployment: Deployment) -> None:
        self._state = deployment.state
        self._copy = deployment.last_state

    def mend(self) -> str:
        """Put the last whole state in the place of a damaged one; says so, or "".

        Raises:
            InfraError: the state is damaged, and there is no copy of it.
        """
        if self._state is None or not self._state.exists() or _whole(self._state):
            return ""
        damaged = self._state.with_suffix(".damaged")
        if not _whole(self._copy):
            msg = (
                f"the state {self._state} is damaged, and no copy of it is at {self._copy}; "
                f"repair it, or delete it and apply again"
            )
            raise InfraError(msg)
        self._state.replace(damaged)
        write_whole(self._state, read_private(self._copy))
        return (
            f"the state was damaged; it is put aside as {damaged.name}, the last whole one is used"
        )

    def keep(self) -> None:
        """Copy the state, which `mend` has seen whole, before an operation may change it.

        Raises:
            InfraError: the disk has no room for another state.
        """
        if self._state is None:
            return
        folder = next(place for place in self._state.parents if place.exists())
        free = shutil.disk_usage(folder).free
        if free < ROOM_BYTES:
            msg = (
                f"the disk of {folder} has {free / 1e6:.1f} MB left, and the state may need "
                f"{ROOM_BYTES / 1e6:.0f} MB; make room first"
            )
            raise InfraError(msg)
        if self._state.exists():
            write_whole(self._copy, read_private(self._state))


def _whole(path: Path) -> bool:
    try:
        read_own(path, dict[str, Any])
    except (OSError, DamagedError):
        return False
    return True
