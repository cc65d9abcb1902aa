"""Reads the JSON documents that this package keeps for itself, into the shape that it wrote.

Such a file can be cut off, be of another version, or have been written by anybody: whatever is in
it is either what was asked for, or damaged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import msgspec

from buildflow_nb.core.errors import told
from buildflow_nb.core.project_folder import read_private

__all__ = ("DamagedError", "parsed", "read_own")

T = TypeVar("T")


class DamagedError(ValueError):
    """A document is no JSON, or not of the shape that it should have."""


def read_own(path: Path, shape: type[T]) -> T:
    """A document of a project's own folder.

    Raises:
        DamagedError: it is something else.
        OSError: it cannot be read, or a link is in the way.
    """
    return parsed(read_private(path), shape)


def parsed(data: bytes, shape: type[T]) -> T:
    """A JSON document of a shape: a frozen dataclass, a dict, a list.

    Raises:
        DamagedError: it is something else.
    """
    try:
        # Of the two readers this one keeps numbers of any size as they are.
        return msgspec.convert(json.loads(data), shape)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise DamagedError(told(error)) from error
