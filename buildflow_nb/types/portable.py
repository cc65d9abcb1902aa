"""Types that mean the same wherever they come from: file formats and file changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self, TypeVar

__all__ = ("FileChangeEvent", "FileFormat", "PortableFileChangeEventType", "of_portable")

E = TypeVar("E", bound=Enum)


class FileFormat(Enum):
    """How records lie in a file; `FileFormat("PARQUET")` works in any case of letters."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"  # JSON Lines: one object a line

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        lower = value.lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == lower), None)


class PortableFileChangeEventType(Enum):
    """What happened to a file, in words that every cloud knows."""

    CREATED = "created"
    DELETED = "deleted"
    UNKNOWN = "unknown"


def of_portable(
    kinds: str,
    portable_type: PortableFileChangeEventType,
    known: Mapping[PortableFileChangeEventType, E],
) -> E:
    """What a platform calls this.

    Raises:
        ValueError: it has no word for it.
    """
    if portable_type not in known:
        words = ", ".join(str(kind) for kind in known)
        msg = f"{kinds} has nothing for {portable_type!r}; give one of {words}"
        raise ValueError(msg)
    return known[portable_type]


@dataclass
class FileChangeEvent(ABC):
    """A file came, changed or went; `metadata` is the message as the platform sent it."""

    file_path: str
    event_type: Enum
    metadata: Mapping[str, Any]

    @property
    @abstractmethod
    def blob(self) -> bytes:
        """The file's content, read when asked for.

        Raises:
            ValueError: the file was deleted.
        """
