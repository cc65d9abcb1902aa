"""Changes of a project's code: its *.py files and buildflow.yaml, and nothing else.

What a flow writes (sinks, `.buildflow`), what tools keep and virtual environments are no code. A
file that was only touched, or saved as it was, has not changed: contents are compared.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

from buildflow_nb.core.config import FILE_NAME

__all__ = ("CodeChanges",)

LOOK_EVERY_MS = 500  # how often the one who iterates gets to look elsewhere
SETTLE_MS = 200  # an editor saves several files at once
_NOT_CODE = (".buildflow", "venv", ".venv", "node_modules", "build", "dist")


class CodeFilter(DefaultFilter):
    """Code alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(ignore_dirs=(*DefaultFilter.ignore_dirs, *_NOT_CODE))
        self._folder = folder

    def __call__(self, change: Change, path: str) -> bool:
        found = Path(path)
        is_code = found.suffix == ".py" or found == self._folder / FILE_NAME
        return is_code and self._is_inside(found) and super().__call__(change, path)

    def looks_into(self, folder: Path) -> bool:
        """Whether code can be in a folder: it is not hidden, no cache and no environment."""
        known = folder.name.startswith(".") or folder.name in self.ignore_dirs
        return not known and not (folder / "pyvenv.cfg").is_file()

    def _is_inside(self, path: Path) -> bool:
        inner = path.relative_to(self._folder) if path.is_relative_to(self._folder) else path
        return all(self.looks_into(self._folder / parent) for parent in list(inner.parents)[:-1])


class CodeChanges:
    """Iterates over the names of changed files; an empty list means that a moment has passed."""

    def __init__(self, folder: Path, stop: threading.Event) -> None:
        self._folder = folder.resolve()
        self._stop = stop
        self._filter = CodeFilter(self._folder)
        self._seen = {path: _digest(path) for path in self._code()}

    def __iter__(self) -> Iterator[list[str]]:
        changes = watch(
            self._folder,
            watch_filter=self._filter,
            stop_event=self._stop,
            debounce=SETTLE_MS * 2,
            step=SETTLE_MS,
            rust_timeout=LOOK_EVERY_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        first = True
        for found in changes:
            changed = {Path(path) for _, path in found}
            if first:  # the watcher is there now; something may have been saved before
                changed |= {*self._seen, *self._code()}
            first = False
            new = [path for path in sorted(changed) if self._new(path)]
            yield [str(path.relative_to(self._folder)) for path in new]

    def _new(self, path: Path) -> bool:
        digest = _digest(path)
        if self._seen.get(path) == digest:
            return False
        self._seen[path] = digest
        return True

    def _code(self) -> Iterator[Path]:
        for place, folders, files in os.walk(self._folder):
            here = Path(place)
            # What is no code is not even looked into: an environment has thousands of files.
            folders[:] = [name for name in folders if self._filter.looks_into(here / name)]
            for path in map(here.joinpath, files):
                if self._filter(Change.modified, str(path)):
                    yield path


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.blake2b(path.read_bytes()).digest()
    except OSError:
        return None
