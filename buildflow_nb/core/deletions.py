"""What a plan would delete, and whether a plain yes is enough for it.

Nothing is deleted unseen: what another notebook or program applied, and more than is created, takes
a typed confirmation or `--delete`; what was not declared in this session, more than `--yes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ("Deletions",)


@dataclass(frozen=True, slots=True)
class Deletions:
    """The deletions of a plan; primitives are told by class and id ("SQSQueue orders").

    `count` and `created` are numbers of resources. `by_others` has the primitives that somebody
    else applied, by who it was. `unmentioned` are those that were not declared in this session.
    `allowed` says that deleting was asked for (`--delete`), `all_wanted` that it was the very
    thing asked for (`destroy`).
    """

    count: int = 0
    created: int = 0
    by_others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmentioned: tuple[str, ...] = ()
    allowed: bool = False
    all_wanted: bool = False

    @property
    def must_type(self) -> str:
        """What has to be typed to agree, "" where a yes is enough."""
        many = self.count > self.created and not self.all_wanted
        asks = not self.allowed and self.count and (self.by_others or many)
        return f"delete {self.count}" if asks else ""

    @property
    def unseen(self) -> bool:
        """Whether a yes that was given beforehand is not enough."""
        told = bool(self.unmentioned) and not self.all_wanted
        return bool(self.must_type) or (told and not self.allowed)
