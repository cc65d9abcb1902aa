"""One JSON document on disk, always whole: the old one or the new one, never half of either.

It is written beside its place, synced and renamed into it, and only its owner may read it. One that
cannot be read is put aside under another name, and the log says so: nothing is lost silently, and
damage keeps nothing from starting.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.project_folder import forget_parts, write_whole

__all__ = ("Json", "KeptFile")

Json: TypeAlias = dict[str, Any]  # a JSON object, as parsed

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
        forget_parts(self._path)
        try:
            return read_own(self._path, dict[str, Any])
        except FileNotFoundError:
            return None
        except DamagedError as error:
            self._put_aside(str(error))
            return None

    def write(self, whole: Mapping[str, Any]) -> None:
        """Replace the document.

        Raises:
            OSError: it cannot be written; the file is then as it was.
        """
        write_whole(self._path, json.dumps(whole).encode())

    def _put_aside(self, why: str) -> None:
        damaged = (self._path.with_suffix(f".damaged-{number}") for number in count(1))
        aside = next(path for path in damaged if not path.exists())
        self._path.replace(aside)
        logger.error("%s cannot be read (%s); it was put aside as %s", self._path, why, aside)
