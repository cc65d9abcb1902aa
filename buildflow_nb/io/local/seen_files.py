"""The files below a path: as they were told of last, and what is different now.

A watch says where to look; what is there is looked at here. So what it does not tell is told all
the same: the files of a folder that was moved in or out, and what happened while nobody watched.

What was told and settled is kept for the next run (`Position`). It is written on a thread, at most
twice a second, more rarely the longer it takes, and at the end: a kill costs nothing but to be told
again of what was settled last.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.position import Position
from buildflow_nb.io.local.folder_watch import Changes
from buildflow_nb.types.local import FileChangeStreamEventType

__all__ = ("Found", "SeenFiles")

Stamp = tuple[int, int]  # nanoseconds of the last change, bytes
_FOLDER: Stamp = (0, -1)  # it comes and goes; what changes is in it
_CREATED = FileChangeStreamEventType.CREATED
_MODIFIED = FileChangeStreamEventType.MODIFIED
_DELETED = FileChangeStreamEventType.DELETED
Kind = FileChangeStreamEventType


@dataclass(frozen=True, slots=True)
class Found:
    """What happened to a file, and what it is now; None for one that is gone."""

    kind: Kind
    path: str
    stamp: Stamp | None


class SeenFiles:
    """What is known of the files below a path, and how much of it is settled."""

    def __init__(self, path: str, position: Position | None) -> None:
        self._path = path
        self._position = position
        self._known: dict[str, Stamp] = {}
        self._kept: dict[str, Stamp] = {}
        self._ahead: dict[str, Stamp] = {}  # found by looking; the watch may tell of them yet
        self._first = True
        self.changed = False  # whether what is kept is more than what is written

    @property
    def resumed(self) -> bool:
        """Whether it is known what was there before."""
        return not self._first

    def begin(self) -> None:
        """Take up where the run before this one ended; blocks."""
        before = None if self._position is None else _stamps(self._position.read())
        if before is not None:
            self._known, self._kept, self._first = dict(before), before, False

    def look_at(self, changes: Changes) -> list[Found]:
        """What has really happened where a watch tells of changes, in order; blocks."""
        told: dict[str, set[Kind]] = {}
        for change, path in changes:
            told.setdefault(path, set()).add(Kind(change.raw_str()))
        return [found for path in sorted(told) for found in self._at(path, told)]

    def look_around(self, *, remade: bool = False) -> list[Found]:
        """What is different from what is known, wherever it is; blocks.

        The first look of all only learns what is there. In a `remade` folder nothing is an old
        file with other content.
        """
        now = dict(_below(self._path, top=True))
        if self._first:
            self._first = False
            self._known, self._kept, self.changed = now, dict(now), True
            return []
        other = _CREATED if remade else _MODIFIED
        found = [Found(_DELETED, path, None) for path in self._known if path not in now]
        found += [
            Found(other if path in self._known else _CREATED, path, stamp)
            for path, stamp in now.items()
            if self._known.get(path) != stamp
        ]
        return sorted(found, key=lambda one: one.path)

    def learn(self, found: list[Found]) -> None:
        """These are about to be told."""
        for one in found:
            _set(self._known, one.path, one.stamp)
            if one.stamp is not None:
                self._ahead[one.path] = one.stamp

    def is_quiet(self) -> None:
        """The watch has told all that it had to tell."""
        self._ahead.clear()

    def keep(self, one: Found) -> None:
        """This one is settled, or nobody wants to be told of it."""
        _set(self._kept, one.path, one.stamp)
        self.changed = True

    def writing(self) -> Callable[[], None] | None:
        """What writes down all that is settled by now; None where nothing is kept."""
        if self._position is None or not self.changed:
            return None
        self.changed = False
        position, document = self._position, dict(self._kept)
        return lambda: position.write(document)

    def _at(self, path: str, told: Mapping[str, set[Kind]]) -> Iterator[Found]:
        stamp, kinds = _stamp(path), told[path]
        if stamp is None:
            yield from (Found(kind, path, None) for kind in _ORDER_GONE if kind in kinds)
            if self._known.get(path) == _FOLDER:
                yield from self._gone_below(path, told, {})
            return
        ahead = self._ahead.pop(path, None)
        if ahead is not None and _DELETED not in kinds:
            kinds = set() if ahead == stamp else {_MODIFIED}
        yield from (
            Found(kind, path, None if kind is _DELETED else stamp)
            for kind in _ORDER_THERE
            if kind in kinds
        )
        if stamp == _FOLDER and _CREATED in told[path]:
            inside = dict(_below(path))
            yield from self._gone_below(path, told, inside)
            yield from (
                Found(_CREATED, each, one)
                for each, one in sorted(inside.items())
                if each not in told and self._known.get(each) != one
            )

    def _gone_below(
        self, path: str, told: Mapping[str, set[Kind]], there: Mapping[str, Stamp]
    ) -> Iterator[Found]:
        below = path + os.sep
        for each in [each for each in self._known if each.startswith(below)]:
            if each not in told and each not in there:
                yield Found(_DELETED, each, None)


# What is gone was there before; what is there was gone before.
_ORDER_GONE = (_CREATED, _MODIFIED, _DELETED)
_ORDER_THERE = (_DELETED, _CREATED, _MODIFIED)


def _set(stamps: dict[str, Stamp], path: str, stamp: Stamp | None) -> None:
    if stamp is None:
        stamps.pop(path, None)
    else:
        stamps[path] = stamp


def _stamps(document: Any) -> dict[str, Stamp] | None:
    """A document of an earlier run; None for none, or for one that is damaged."""
    try:
        return {str(path): (int(stamp[0]), int(stamp[1])) for path, stamp in document.items()}
    except (AttributeError, TypeError, ValueError, LookupError):
        return None


def _below(path: str, *, top: bool = False) -> Iterator[tuple[str, Stamp]]:
    """Every file and folder that a watch of `path` would tell of; itself where it is a file."""
    from watchfiles import Change, DefaultFilter

    wanted = DefaultFilter()
    folders = [path]
    own = _stamp(path) if top else None
    if own is not None and own != _FOLDER:
        yield path, own
        return
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:  # gone meanwhile, or closed to us: as for the watch
            continue
        for entry in entries:
            if not wanted(Change.added, entry.path):
                continue
            stamp = _stamp(entry.path)
            if stamp is not None:
                yield entry.path, stamp
            if stamp == _FOLDER and not entry.is_symlink():
                folders.append(entry.path)


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116  (100,000 of them at a start)
    except OSError:
        return None
    return _FOLDER if stat.S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_size)
