"""One JSON document on disk, always whole: the old one or the new one, never half of either.

It is written beside its place, synced and renamed into it, and only its owner may read it. One that
cannot be read is put aside under another name, and the log says so: nothing is lost silently, and
damage keeps nothing from starting.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ("Json", "KeptFile")

Json: TypeAlias = dict[str, Any]  # a JSON object, as parsed

OWNER_ONLY = 0o600

logger = logging.getLogger(__name__)


class KeptFile:
    """A JSON object in a file, for one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Json | None:
        """Give what was written last; None if nothing was, or if it is damaged.

        Raises:
            OSError: the file is there and cannot be opened.
        """
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._put_aside(str(error))
            return None
        if not isinstance(found, dict):
            self._put_aside("no JSON object")
            return None
        return found

    def write(self, whole: Mapping[str, Any]) -> None:
        """Replace the document.

        Raises:
            OSError: it cannot be written; the file is then as it was.
        """
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(whole, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _put_aside(self, why: str) -> None:
        damaged = (self._path.with_suffix(f".damaged-{number}") for number in count(1))
        aside = next(path for path in damaged if not path.exists())
        self._path.replace(aside)
        logger.error("%s cannot be read (%s); it was put aside as %s", self._path, why, aside)
