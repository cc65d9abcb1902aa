"""Changes of files on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from buildflow_nb.types.portable import FileChangeEvent, PortableFileChangeEventType, of_portable

__all__ = ("FileChangeStreamEventType", "LocalFileChangeEvent")


class FileChangeStreamEventType(Enum):
    """What happened to a file; made from its value or its name, in any case of letters."""

    CREATED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        lower = value.lower() if isinstance(value, str) else None
        found = (m for m in cls if lower in (m.value, m.name.lower()))
        return next(found, None)

    @classmethod
    def from_portable_type(
        cls, portable_type: PortableFileChangeEventType
    ) -> FileChangeStreamEventType:
        """The one that says the same of a file.

        Raises:
            ValueError: there is none.
        """
        return of_portable(
            cls.__name__,
            portable_type,
            {
                PortableFileChangeEventType.CREATED: cls.CREATED,
                PortableFileChangeEventType.DELETED: cls.DELETED,
            },
        )


@dataclass
class LocalFileChangeEvent(FileChangeEvent):
    """A file of this machine came, changed or went; `file_path` is absolute."""

    event_type: FileChangeStreamEventType

    @property
    def blob(self) -> bytes:
        """The file's content, read from the disk at this moment.

        Raises:
            ValueError: the file was deleted.
            FileNotFoundError: it has gone since.
        """
        if self.event_type is FileChangeStreamEventType.DELETED:
            msg = "Can't fetch blob for `delete` event."
            raise ValueError(msg)
        return Path(self.file_path).read_bytes()
