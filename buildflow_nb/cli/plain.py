"""Data of ours as JSON has it: dataclasses as objects, enums as their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from pathlib import Path

__all__ = ("Plain", "plain")

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(value: object) -> Plain:
    """Give a value as dicts, lists, texts and numbers; what is none of these as its repr."""
    match value:
        case float():
            found: Plain = value if isfinite(value) else None  # JSON has no word for the others
        case None | bool() | int() | str():
            found = value
        case Enum():
            found = plain(value.value)
        case Mapping():
            found = {str(plain(key)): plain(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            found = [plain(inner) for inner in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            found = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            found = str(value) if isinstance(value, Path) else repr(value)
    return found
