"""What an export wrote into a folder, by checksum, so that the next one knows what is its own.

One file, `.buildflow-export.json`, which belongs in git like the files that it lists: a clone is
still known as an export. As long as a file has the checksum that stands there, nobody has worked on
it. Line ends are left out of the sum, since git may change them. The list may come from anybody, so
a path that leads out of the folder makes it a damaged one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from buildflow_nb.core.errors import UsageError

__all__ = ("MANIFEST", "Manifest", "is_within")

MANIFEST = ".buildflow-export.json"
_FORMAT = "buildflow export"
_VERSION = 1
_NOT_OURS = frozenset({".git", ".buildflow"})  # history, and the state of stacks


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of an export, by relative path, with their checksums."""

    files: Mapping[str, str]

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Manifest:
        """The manifest of these files."""
        return cls({path: _checksum(content) for path, content in files.items()})

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a folder, None if it holds no export.

        Raises:
            UsageError: it is there and damaged.
            OSError: it is there and cannot be read.
        """
        path = folder / MANIFEST
        if not path.is_file():
            return None
        content = path.read_bytes()
        try:
            told = json.loads(content)
            files = {str(name): str(value) for name, value in dict(told["files"]).items()}
            sound = (told["format"], told["version"]) == (_FORMAT, _VERSION)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise _damaged(path) from error
        if not sound or not all(map(is_within, files)):
            raise _damaged(path)
        return cls(files)

    def unchanged(self, folder: Path, name: str) -> bool:
        """Whether a file is there as it was exported.

        Raises:
            OSError: it cannot be read.
        """
        path = folder / name
        if name not in self.files or path.is_symlink() or not path.is_file():
            return False
        return _checksum(path.read_bytes()) == self.files[name]

    def changed(self, folder: Path) -> list[str]:
        """The files that somebody has worked on; one that is gone is not among them."""
        there = (name for name in self.files if _is_there(folder / name))
        return sorted(name for name in there if not self.unchanged(folder, name))

    def text(self) -> str:
        """The manifest as a file."""
        told = {"format": _FORMAT, "version": _VERSION, "files": dict(sorted(self.files.items()))}
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def is_within(name: str) -> bool:
    """Whether a relative path is one that an export may write."""
    path = PurePosixPath(name)
    odd = path.is_absolute() or "\\" in name or "\0" in name or ".." in path.parts
    return not odd and bool(path.parts) and path.parts[0] not in _NOT_OURS


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _damaged(path: Path) -> UsageError:
    return UsageError(
        f"{path} is damaged, so what was changed since the export is not known; put it back, "
        "or add --force to write over what is there"
    )
