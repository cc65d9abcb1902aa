"""Puts files into a folder all together, or not at all.

All of them are first made in a temporary folder on the same disk: a full disk or a missing right
shows there, and nothing has happened. A folder that is not there yet then comes to be by one
rename. In one that is, file by file is renamed into place; before the first of them, a copy of
everything that gives way lies in the temporary folder, with a plan of what is to be done. An error
there is undone at once, SIGINT, SIGTERM and SIGHUP wait for the end of it (milliseconds), and what
a SIGKILL leaves behind is undone by the next export (`mend`). A lock keeps two exports from meeting
in one folder. A folder may come from anybody, by a clone for example: a plan is only believed if it
names the very temporary folder that it lies in, and no link is followed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.project_folder import try_lock

__all__ = ("STAGE", "mend", "place")

STAGE = ".buildflow-export.tmp"
_MODE = 0o644
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag
_COPIED = "its temporary folder was copied, or comes from somewhere else; look at it and remove it"
_LONGEST = 40  # letters of a folder's name; the name of a file has 255 bytes


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is done to a folder: files that give way, files and folders that were not there.

    `stage` is the number that the disk gave to the temporary folder, which no copy of it has.
    """

    stage: int
    old: Sequence[str]
    new: Sequence[str]
    folders: Sequence[str]


def place(folder: Path, files: Mapping[str, bytes], gone: Sequence[str] = ()) -> None:
    """Write files by relative path and remove those that are `gone`: everything or nothing.

    Raises:
        OSError: it could not be done, and has not been.
        UsageError: another export is at work there, or what was done cannot be undone.
    """
    if folder.is_dir():
        with _stage(folder / STAGE) as stage:
            _undo(folder, stage)
            _empty(stage)
            _make(stage / "new", files, folder)
            _swap(folder, stage, files, gone)
        return
    made = _parents(folder)
    try:
        with _stage(_beside(folder)) as stage:
            _empty(stage)
            _make(stage / "new", files, folder)
            (stage / "new").rename(folder)
    except BaseException:
        _remove_empty(made)
        raise


def mend(folder: Path) -> None:
    """Undo what an export that was killed had begun to do to a folder, and sweep after it.

    Raises:
        OSError: it cannot be undone.
        UsageError: an export is at work there.
    """
    if (folder / STAGE).is_dir():
        with _stage(folder / STAGE) as stage:
            _undo(folder, stage)
    if _beside(folder).is_dir():
        with _stage(_beside(folder)):
            pass


def _beside(folder: Path) -> Path:
    """Where the files are made for a folder that is not there yet."""
    return folder.parent / f".{folder.name[:_LONGEST]}{STAGE}"


@contextmanager
def _stage(stage: Path) -> Iterator[Path]:
    """The temporary folder, for one export at a time; removed at the end, unless it is needed."""
    if stage.is_symlink():
        msg = f"{stage} is a link, and an export makes a folder there; remove it"
        raise UsageError(msg)
    stage.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(stage / "lock", os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
    try:
        if not try_lock(lock) or not _is_still(lock, stage / "lock"):
            msg = f"another export is writing to {stage.parent}; wait for its end"
            raise UsageError(msg)
        try:
            yield stage
        finally:
            if not (stage / "plan").exists():
                shutil.rmtree(stage, ignore_errors=True)
    finally:
        os.close(lock)


def _is_still(handle: int, path: Path) -> bool:
    """Whether an open file has not been removed by whoever had the lock before."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _empty(stage: Path) -> None:
    """Remove what an export left there that was killed before it had a plan."""
    for path in stage.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _make(new: Path, files: Mapping[str, bytes], folder: Path) -> None:
    """Write all files, each with the mode of the one that it replaces."""
    new.mkdir()
    for name, content in files.items():
        path, there = new / name, folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = there.stat().st_mode & 0o777 if there.is_file() else _MODE
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(mode)


def _swap(folder: Path, stage: Path, files: Mapping[str, bytes], gone: Sequence[str]) -> None:
    plan = _planned(folder, stage, files, gone)
    _keep(folder, stage, plan)
    with _undisturbed():
        try:
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (stage / "new" / name).replace(folder / name)
            for name in gone:
                (folder / name).unlink(missing_ok=True)
            (stage / "plan").unlink()
        except BaseException:
            _undo(folder, stage)
            raise
    _remove_empty([folder / parent for name in gone for parent in _above(name)])


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let signals to this thread wait; Windows has no such thing."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    waiting = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _planned(folder: Path, stage: Path, files: Mapping[str, bytes], gone: Sequence[str]) -> _Plan:
    there = [name for name in (*files, *gone) if os.path.lexists(folder / name)]
    above = {parent for name in files for parent in _above(name)}
    return _Plan(
        stage=stage.stat().st_ino,
        old=there,
        new=[name for name in files if name not in there],
        folders=sorted((p for p in above if not (folder / p).exists()), key=len, reverse=True),
    )


def _keep(folder: Path, stage: Path, plan: _Plan) -> None:
    """Copy what gives way, then write down the plan: from here on it can be undone."""
    for name in plan.old:
        (stage / "old" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / name, stage / "old" / name, follow_symlinks=False)
    with (stage / "plan.new").open("w", encoding="utf-8") as file:
        json.dump(asdict(plan), file)
        file.flush()
        os.fsync(file.fileno())
    (stage / "plan.new").replace(stage / "plan")


def _undo(folder: Path, stage: Path) -> None:
    """Put back what a plan has changed; may be done again if it does not come to its end."""
    path = stage / "plan"
    if not path.exists():
        return
    try:
        plan = _Plan(**json.loads(path.read_text(encoding="utf-8")))
        if plan.stage != stage.stat().st_ino:
            raise ValueError(_COPIED)  # noqa: TRY301  (said below, with the place)
        for name in plan.old:
            if (stage / "old" / name).exists() and not (stage / "new" / name).exists():
                (stage / "old" / name).replace(folder / name)
        for name in plan.new:
            if not (stage / "new" / name).exists():
                (folder / name).unlink(missing_ok=True)
        _remove_empty([folder / name for name in plan.folders])
        path.unlink()
    except (OSError, ValueError, TypeError) as error:
        msg = (
            f"an export to {folder} was broken off and cannot be undone ({error}); "
            f"what was there is in {stage / 'old'}"
        )
        raise UsageError(msg) from error


def _above(name: str) -> list[str]:
    """The folders that a relative path goes through, the innermost first."""
    return [str(parent) for parent in Path(name).parents if parent.parts]


def _parents(folder: Path) -> list[Path]:
    """Make what is above a folder; gives those that are new, the innermost first."""
    new = [path for path in folder.parents if not path.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        _remove_empty(new)
        raise
    return new


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
