"""What a watch has told of so far, kept for the process that comes after.

Between two watches nobody looks: a program that takes another one's place (`run --reload`) would
not hear of what happened then. So the one that goes writes down which files it has told of, and the
one that comes tells what is different. Nothing is kept where nobody comes after (`Env.positions`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ("SeenFiles",)

Stamp = tuple[int, int]  # nanoseconds of the last change, bytes
_FOLDER: Stamp = (0, -1)  # it comes and goes; what changes is in it


class SeenFiles:
    """The files below a path as they were when they were last told of."""

    def __init__(self, path: str, name: str, folder: Path) -> None:
        self._path = path
        self._store = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
        self._told: dict[str, Stamp] = {}
        self._earlier: dict[str, Stamp | None] = {}  # what was told before the last time

    def begin(self) -> None:
        """Take up where the one before ended; what is there now, where nobody was before."""
        before = self._before()
        self._told = _listed(self._path) if before is None else before

    def since(self) -> set[tuple[Any, str]]:
        """What is different from what was told, as watchfiles has it."""
        from watchfiles import Change

        now = _listed(self._path)
        changed = {
            (Change.modified if path in self._told else Change.added, path)
            for path, stamp in now.items()
            if self._told.get(path) != stamp
        }
        return changed | {(Change.deleted, path) for path in self._told.keys() - now.keys()}

    def tell(self, paths: Iterable[str]) -> None:
        """These have been told of, as they are now."""
        for path in paths:
            self._earlier[path] = self._told.get(path)
            self._set(path, _stamp(path))

    def forget(self, paths: Iterable[str]) -> None:
        """These have to be told of again, as if nothing had been said."""
        for path in paths:
            self._set(path, self._earlier.get(path))

    def _set(self, path: str, stamp: Stamp | None) -> None:
        if stamp is None:
            self._told.pop(path, None)
        else:
            self._told[path] = stamp

    def end(self) -> None:
        """Write it down."""
        part = self._store.with_suffix(".part")
        part.write_text(json.dumps(self._told))
        part.replace(self._store)

    def _before(self) -> dict[str, Stamp] | None:
        try:
            found: Mapping[str, list[int]] = json.loads(self._store.read_text())
        except (OSError, ValueError):
            return None
        return {path: (stamp[0], stamp[1]) for path, stamp in found.items()}


def _listed(top: str) -> dict[str, Stamp]:
    """Every file and folder that a watch would tell of."""
    from watchfiles import Change, DefaultFilter

    wanted = DefaultFilter()
    places = [top] if Path(top).is_file() else []
    for folder, folders, names in os.walk(top):
        places += [str(Path(folder) / name) for name in (*folders, *names)]
    found = {place: _stamp(place) for place in places if wanted(Change.added, place)}
    return {place: stamp for place, stamp in found.items() if stamp is not None}


def _stamp(path: str) -> Stamp | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return _FOLDER if stat.S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_size)
