"""The folder of an export: what may be written over, and what is put in its place.

A file that an export wrote may be replaced as long as nobody has worked on it (`manifest.py`); one
that somebody has worked on, or made, is only written over with `force`. buildflow.yaml is the
exception: it is there to be edited, and the state of the stacks is found by it, so an edited one
stays in any case. What else is in the folder stays as it is, `.git` and `.buildflow` above all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from buildflow_nb.core.config import FILE_NAME
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.folder.manifest import MANIFEST, Manifest, is_within
from buildflow_nb.export.folder.placing import STAGE, mend, place

__all__ = ("check_folder", "write_files")

_UNHARMED = frozenset({".git", ".buildflow", STAGE})  # a folder with these alone is free
_MOST_NAMES = 5


def check_folder(folder: Path, *, force: bool) -> None:
    """See whether an export may go there; undoes what one that was killed had begun.

    Raises:
        UsageError: it is no folder, or holds something that is not ours to write over.
    """
    try:
        _refuse_no_folder(folder)
        if folder.is_dir():
            mend(folder.resolve())
            if not force:
                _refuse_work(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _refuse_no_folder(folder: Path) -> None:
    if folder.is_symlink() and not folder.exists():
        msg = f"{folder} is a link to {folder.readlink()}, which is not there; name a folder"
        raise UsageError(msg)
    file = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if file.exists() and not file.is_dir():
        msg = f"{file} is a file; name a folder to export to"
        raise UsageError(msg)


def _refuse_work(folder: Path) -> None:
    if all(path.name in _UNHARMED for path in folder.iterdir()):
        return
    manifest = Manifest.read(folder)
    if manifest is None:
        msg = f"{folder} is not empty and holds no export; name another folder, or add --force"
        raise UsageError(msg)
    changed = [name for name in manifest.changed(folder) if name != FILE_NAME]
    if changed:
        raise UsageError(_worked_on(folder, changed, "changed since it was exported"))


def write_files(
    folder: Path, files: Mapping[str, str | bytes], *, force: bool = False
) -> tuple[Path, ...]:
    """Write files by relative path, all of them or none; gives those that are written.

    Files that the export before wrote, and that are not among these, are removed. With `force`,
    those that a person made or worked on are written over.

    Raises:
        UsageError: the folder cannot be written to, or it would cost a person's work.
    """
    try:
        return _write(folder, folder.resolve(), files, force=force)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write(
    folder: Path, target: Path, files: Mapping[str, str | bytes], *, force: bool
) -> tuple[Path, ...]:
    before = _manifest(target, force=force)
    contents = {
        name: text if isinstance(text, bytes) else text.encode()
        for name, text in files.items()
        if name != FILE_NAME or not _is_edited(target, name, before)
    }
    foreign = [name for name in contents if _is_edited(target, name, before)]
    if foreign and not force:
        raise UsageError(_worked_on(folder, foreign, "not made by an export"))
    gone = [
        name
        for name in before.files
        if name not in files and name != FILE_NAME and before.unchanged(target, name)
    ]
    _refuse_places(target, [*contents, *gone])
    manifest = Manifest.of(contents).text().encode()
    place(target, {**contents, MANIFEST: manifest}, gone)
    return tuple(folder / name for name in contents)


def _manifest(folder: Path, *, force: bool) -> Manifest:
    try:
        return Manifest.read(folder) or Manifest({})
    except UsageError:
        if not force:
            raise
        return Manifest({})


def _is_edited(folder: Path, name: str, before: Manifest) -> bool:
    path = folder / name
    there = path.is_symlink() or path.exists()
    return there and not before.unchanged(folder, name)


def _refuse_places(folder: Path, names: Iterable[str]) -> None:
    """Nothing is written outside of the folder, and no folder gives way to a file.

    Raises:
        UsageError: names the place.
    """
    for name in names:
        if not is_within(name):
            msg = f"{name!r} is no place for a file of an export; it would be outside of {folder}"
            raise UsageError(msg)
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            msg = f"{path} is a folder, and the export has a file of that name; move it away"
            raise UsageError(msg)
        for above in path.parents:
            if above == folder:
                break
            if above.is_symlink() or (above.exists() and not above.is_dir()):
                what = "link" if above.is_symlink() else "file"
                msg = f"{above} is a {what}, and the export has a folder of that name; move it away"
                raise UsageError(msg)


def _worked_on(folder: Path, names: list[str], what: str) -> str:
    shown = ", ".join(str(folder / name) for name in names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        shown += f" and {len(names) - _MOST_NAMES} more"
    if len(names) > 1:
        return f"{shown} were {what.replace('it was', 'they were')}; add --force to write over them"
    return f"{shown} was {what}; add --force to write over it"


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{folder} cannot be written to: {error.strerror or error}; nothing in it was changed; "
        "mend that, or name another folder"
    )
