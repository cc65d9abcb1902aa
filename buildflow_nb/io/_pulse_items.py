"""What pulses have in common: checked items and a name made from them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sized
from itertools import islice
from typing import Any

from buildflow_nb.core.errors import DeclarationError

__all__ = ("checked_items", "fingerprint")

SHOWN = 20  # items that make the name; reading all of a long list at every look would be slow


def checked_items(owner: str, items: Iterable[Any], interval_s: float) -> Iterable[Any]:
    """The items, a list as a tuple, so that what was declared cannot change later.

    Raises:
        DeclarationError: they cannot be iterated, are none, or the interval is no duration.
    """
    number = isinstance(interval_s, (int, float)) and not isinstance(interval_s, bool)
    if not number or not math.isfinite(interval_s) or interval_s < 0:
        msg = f"{owner}: pulse_interval_seconds must be 0 or more seconds, got {interval_s!r}"
        raise DeclarationError(msg)
    if not isinstance(items, Iterable):
        msg = f"{owner}: items must be a list or another iterable, got {type(items).__name__}"
        raise DeclarationError(msg)
    if isinstance(items, list):
        items = tuple(items)
    if isinstance(items, Sized) and len(items) == 0:
        msg = f"{owner}: items is empty; give at least one"
        raise DeclarationError(msg)
    return items


def fingerprint(items: Iterable[Any], *rest: object) -> str:
    """A short name, equal for equal configurations whose items have a telling repr."""
    if isinstance(items, tuple):
        shown = f"{len(items)} {list(islice(items, SHOWN))!r}"
    else:
        shown = repr(items)
    return hashlib.blake2s(f"{shown} {rest!r}".encode(), digest_size=4).hexdigest()
