"""Failures that are alike, as one: the same type of error, at the same place.

Three hundred elements that fail for one reason are one thing to read. Where an error comes from is
the last frame of the traceback that is the user's own; a conversion fails before their code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from buildflow_nb.runtime.observability.failures import FailureRecord

__all__ = ("BEFORE", "Group", "grouped", "kind_of_error", "matching", "place_of")

BEFORE = "before your code"
_FRAME = re.compile(
    r'^  (?:File "(?P<file>.+)"|(?P<cell>Cell In\[\d+\])), line (?P<line>\d+)', re.M
)
_CELL = re.compile(r"^Cell In(\[\d+\])$")


@dataclass(frozen=True, slots=True)
class Group:
    """Failures of one type of error at one place, oldest first."""

    kind: str
    place: str
    failures: Sequence[FailureRecord]

    @property
    def key(self) -> str:
        """What tells it from other groups."""
        return f"{self.kind} {self.place}"

    @property
    def last(self) -> FailureRecord:
        """The newest one."""
        return self.failures[-1]

    @property
    def options(self) -> str:
        """What of a line picks it out."""
        return f'--type {self.kind} --at "{self.place}"'


def grouped(failures: Iterable[FailureRecord]) -> list[Group]:
    """The groups, the largest first."""
    found: dict[tuple[str, str], list[FailureRecord]] = {}
    for each in failures:
        found.setdefault((kind_of_error(each), place_of(each.traceback)), []).append(each)
    groups = [Group(kind, place, members) for (kind, place), members in found.items()]
    return sorted(groups, key=lambda group: -len(group.failures))


def matching(
    failures: Iterable[FailureRecord], kind: str | None, place: str | None
) -> list[FailureRecord]:
    """Those of a type of error, and of a place, where these are given."""
    return [
        each
        for each in failures
        if (kind is None or kind_of_error(each) == kind)
        and (place is None or place_of(each.traceback) == place)
    ]


def kind_of_error(failure: FailureRecord) -> str:
    """The class of the error."""
    return failure.error.partition(":")[0].strip() or "error"


@lru_cache(maxsize=2_048)
def place_of(traceback: str) -> str:
    """Where the user's code raised it: "cell [5] line 4", "shop.py line 12", or `BEFORE`."""
    frames = list(_FRAME.finditer(traceback))
    own = [frame for frame in frames if "site-packages" not in (frame["file"] or "")]
    if not own:
        return BEFORE
    frame = own[-1]
    named = frame["cell"] or frame["file"]
    cell = _CELL.match(named)
    file = f"cell {cell[1]}" if cell else named.replace("\\", "/").rpartition("/")[2]
    return f"{file} line {frame['line']}"
