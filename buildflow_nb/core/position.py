"""How far a source is, kept for the run that comes after this one.

A source writes its position when elements are settled, never before: after a kill nothing is lost,
and at most what was not settled is read again. The document is small JSON; a damaged one counts as
none, since to read again is better than to fail or to lose.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.project_folder import PRIVATE, make_private, private_folder, write_whole

__all__ = ("Position",)


class Position:
    """One source's document in the folder that its processor was given (`Env.positions`)."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def read(self) -> Any | None:
        """What was written last; None where nothing was, or where it cannot be read any more."""
        try:
            return read_own(self.path, object)
        except (OSError, DamagedError):
            return None

    def write(self, document: Any) -> None:
        """Keep a document of plain values in place of the last one; blocks for a sync of the disk.

        Raises:
            TemporaryError: the disk does not take it for now.
        """
        try:
            for parent in self._folder.parents:
                if parent.name == PRIVATE:
                    private_folder(parent.parent)
            make_private(self._folder)
            write_whole(self.path, json.dumps(document).encode())
        except OSError as error:
            msg = f"the position of a source cannot be kept in {self._folder}: {error.strerror}"
            raise TemporaryError(msg) from error

    def forget(self) -> None:
        """Let the next run begin anew."""
        self.path.unlink(missing_ok=True)
