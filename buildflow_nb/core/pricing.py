"""What a primitive's price depends on: what it is to its cloud, and how much it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

__all__ = ("USAGE_WORDS", "Billed", "Priced", "Usage")

MOST = 1e15  # of anything; more is a mistake, and its price would be no number


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a resource is used; None for what is not known.

    `elements_per_s` go in, and are read once; `element_kb` is the size of each, in kB of 1,000
    bytes. `storage_gb` lie in it, `scanned_tib` are scanned by queries in a month.
    """

    elements_per_s: float | None = None
    element_kb: float | None = None
    storage_gb: float | None = None
    scanned_tib: float | None = None

    def over(self, other: Usage) -> Usage:
        """This, with the other's numbers where this has none."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        return Usage(**{n: getattr(other, n) if v is None else v for n, v in mine.items()})

    def plausible(self) -> Usage:
        """This without what is no amount: negative, infinite or no number at all."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        return Usage(**{n: v for n, v in mine.items() if v is not None and 0 <= v <= MOST})


USAGE_WORDS = tuple(one.name for one in fields(Usage))


@dataclass(frozen=True, slots=True)
class Billed:
    """What a cloud bills: the engine's type of the resource, and what else its price depends on.

    `inside` says, where it has no price of its own, what it is paid with.
    """

    type: str
    facts: Mapping[str, object] = field(default_factory=dict)
    inside: str = ""


@runtime_checkable
class Priced(Protocol):
    """A primitive that says what a cloud bills for it."""

    @property
    def primitive_id(self) -> str:
        """Stable name, unique in a flow."""
        ...

    def billed(self) -> Billed:
        """What is billed."""
        ...
