"""Keeps histories below `.buildflow/history`, so that a restarted kernel shows what was before.

Each process appends to a file of its own, so that two of them never write into one. A file is a
row of frames, each with its length and its checksum: whatever a kill, a power cut or a full disk
leaves behind ends what is read of that file, and nothing else. A frame has the rows of all
processors of half a minute, compressed.

The folder of a flow and stack has at most `MOST_BYTES`; the oldest file goes first, and each after
a day. What was written by a clock that was ahead is not read, and its files go with the next one
that is begun: they would be the newest for ever. Nothing here hurts a run: what cannot be written
or read is said once, in the log, and a file takes no more memory than its bounds allow.
"""

from __future__ import annotations

import logging
import os
import struct
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import msgspec

from buildflow_nb.core.errors import told
from buildflow_nb.core.project_folder import (
    PRIVATE,
    check_tree,
    open_private,
    private_folder,
    read_private,
)
from buildflow_nb.core.status.history import COARSE_KEPT_S, MARKS, Mark, Rows
from buildflow_nb.runtime.observability.history import Saved

__all__ = ("HistoryFile", "history_folder", "read_past")

_LOGGER = logging.getLogger(__name__)
SUFFIX = ".bfh"
MAGIC = b"bfh1" if sys.byteorder == "little" else b"1hfb"  # rows are as the machine has them
_HEAD = struct.Struct("<4sII")  # what it is, bytes of the frame, their checksum
SEGMENT_BYTES = 1 << 20
SEGMENT_S = 7_200  # so that what goes, when it is a day old, goes in pieces
MOST_BYTES = 32 << 20  # ten busy processors take 2 MB a day
MOST_FILE = 16 << 20  # of one that is read: a segment, and the frame that it ends with
MOST_HEAD = 4 << 20  # of a frame, unpacked: thousands of processors
MOST_ROWS = 1_000_000  # in a file: 500 processors have a third of it in a segment's two hours
MOST_OWN_ROWS = 500_000  # of one processor: what some fifty processes write in a day
AHEAD_S = 300.0  # that the clock of a file's disk may be ahead of ours
_TOO_LONG = "has a frame that is too long"


class _Contents(msgspec.Struct):
    """What is in a frame before its rows: whose they are, and how many of each."""

    rows: list[tuple[str, int]]
    marks: list[tuple[str | None, float, str, str]]
    bytes: int


def history_folder(project: Path, flow_id: str, stack: str) -> Path:
    """Where the histories of a flow on a stack are."""
    names = (quote(name, safe="").replace(".", "%2E") for name in (flow_id, stack))
    return project.joinpath(PRIVATE, "history", *names)


class HistoryFile:
    """Appends what one run has written down; used by one thread at a time."""

    def __init__(self, project: Path, flow_id: str, stack: str) -> None:
        self._project = project
        self._folder = history_folder(project, flow_id, stack)
        self.own = token_hex(4)
        """What the names of its files have, so that its own rows are not read with others'."""
        self._path: Path | None = None
        self._number = 0
        self._begun = 0.0
        self._size = 0
        self._turn = threading.Lock()
        self._warned = False

    def save(self, what: Saved) -> None:
        """Append it; what cannot be is let go of, and said once."""
        if not what:
            return
        with self._turn:
            try:
                self._append(_framed(what))
            except Exception as error:  # noqa: BLE001  (whatever it is, the run goes on)
                self._forget()
                if not self._warned:
                    self._warned = True
                    _LOGGER.warning(
                        "the history of this run cannot be kept in %s (%s); charts show what this "
                        "process remembers",
                        self._folder,
                        told(error),
                    )

    def _append(self, frame: bytes) -> None:
        now = time.time()
        if self._path is None or self._size > SEGMENT_BYTES or now - self._begun > SEGMENT_S:
            private_folder(self._project)
            self._prune(now)
            self._number += 1
            name = f"{int(now)}-{os.getpid()}-{self.own}-{self._number}{SUFFIX}"
            self._path, self._begun, self._size = self._folder / name, now, 0
        handle = open_private(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            left = memoryview(frame)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)
        self._size += len(frame)

    def _forget(self) -> None:
        """Go on in another file; one that was begun just now has nothing that is whole."""
        path, self._path = self._path, None
        if path is not None and not self._size:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _prune(self, now: float) -> None:
        """Make room for another file."""
        if not self._folder.exists():
            return
        check_tree(self._folder)
        found = _files(self._folder)
        room = MOST_BYTES - SEGMENT_BYTES
        for path, changed, size in reversed(found):
            room -= size
            aged = now - changed
            if room < 0 or aged > COARSE_KEPT_S + SEGMENT_S or aged < -AHEAD_S:
                path.unlink(missing_ok=True)


def read_past(
    project: Path, flow_id: str, stack: str, processor_id: str, own: str | None = None
) -> tuple[Rows, list[Mark]]:
    """What was kept of one processor, but by one's `own` writer; nothing where none can be read."""
    folder = history_folder(project, flow_id, stack)
    parts: list[Rows] = []
    marks: list[Mark] = []
    unread: list[str] = []
    now = time.time()
    oldest = now - COARSE_KEPT_S
    for path, changed, _ in _files(folder):
        if changed < oldest or (own is not None and own in path.name):
            continue
        try:
            room = MOST_ROWS
            for data in _frames(read_private(path, MOST_FILE)):
                room = _take(data, processor_id, parts, marks, room)
        except (OSError, ValueError, struct.error, msgspec.MsgspecError) as error:
            unread.append(f"{path.name}: {told(error)}")
    if unread:
        _LOGGER.warning(
            "%s files of the history in %s cannot be read, and are left out; remove them: %s",
            len(unread),
            folder,
            unread[0],
        )
    marks = [mark for mark in marks if mark.at <= now]
    return Rows.joined(parts).since(oldest).before(now), marks[-MARKS:]


def _files(folder: Path) -> list[tuple[Path, float, int]]:
    """Its files with the time of their last change and their size, oldest first."""
    found: list[tuple[Path, float, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.is_symlink():
                    known = entry.stat(follow_symlinks=False)
                    found.append((Path(entry.path), known.st_mtime, known.st_size))
    except OSError:
        return []
    return sorted(found, key=lambda file: (file[1], file[0].name))


def _framed(what: Saved) -> bytes:
    together = Rows()
    for rows in what.rows.values():
        together.extend(rows)
    packed = together.packed()
    counts = [(name, len(rows)) for name, rows in what.rows.items()]
    marks = [(mark.processor_id, mark.at, mark.kind, mark.text) for mark in what.marks]
    head = msgspec.json.encode(_Contents(counts, marks, len(packed)))
    data = struct.pack("<I", len(head)) + zlib.compress(head, 1) + packed
    return _HEAD.pack(MAGIC, len(data), zlib.crc32(data)) + data


def _frames(data: bytes) -> Iterator[bytes]:
    """The frames of a file up to one that is not whole, as where its writer was killed.

    Raises:
        ValueError: it never was such a file.
    """
    start = 0
    while start + _HEAD.size <= len(data):
        magic, size, checksum = _HEAD.unpack_from(data, start)
        frame = data[start + _HEAD.size : start + _HEAD.size + size]
        if magic != MAGIC or len(frame) != size or zlib.crc32(frame) != checksum:
            break
        yield frame
        start += _HEAD.size + size
    if start == 0 and data[:4] != MAGIC[: len(data)]:
        msg = "is no history"
        raise ValueError(msg)


def _take(data: bytes, processor_id: str, parts: list[Rows], marks: list[Mark], room: int) -> int:
    """Take out of a frame what is of one processor; gives how many rows may follow.

    Raises:
        ValueError: it is none, or has more than there is room for.
    """
    (size,) = struct.unpack_from("<I", data)
    if size > MOST_HEAD:
        raise ValueError(_TOO_LONG)
    unpacking = zlib.decompressobj()
    try:
        head = unpacking.decompress(data[4:], size)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    found = msgspec.json.decode(head, type=_Contents)
    for name, at, kind, text in found.marks:
        if name is None or name == processor_id:
            marks.append(Mark(at, kind, text, name))
    first, count, total = _place(found.rows, processor_id)
    own = count + sum(map(len, parts))
    if total > room or own > MOST_OWN_ROWS or min((n for _, n in found.rows), default=0) < 0:
        raise ValueError(_TOO_LONG)
    if count:
        rows = Rows.unpacked(data[len(data) - found.bytes :], total)
        parts.append(rows.part(first, first + count))
    return room - total


def _place(counts: Iterable[tuple[str, int]], processor_id: str) -> tuple[int, int, int]:
    """Where the rows of a processor begin, how many they are, and how many there are of all."""
    first = mine = total = 0
    for name, count in counts:
        if name == processor_id:
            first, mine = total, count
        total += count
    return first, mine, total
