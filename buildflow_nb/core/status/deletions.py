"""What a plan would delete, and whether a plain yes is enough for it.

Nothing is deleted unseen: what another notebook or program applied, what was not declared in this
session (two may go by one name), and more than is created takes a typed confirmation or `--delete`.
What is replaced is deleted, too: with another's resource goes what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ("Deletions",)


@dataclass(frozen=True, slots=True)
class Deletions:
    """The deletions of a plan; primitives are told by class and id ("SQSQueue orders").

    `count`, `created` and `replaced` are numbers of resources; those that are replaced are counted
    where others applied them. `by_others` has the primitives that somebody else applied, by who it
    was. `unmentioned` are those that were not declared in this session. `allowed` says that
    deleting was asked for (`--delete`), `all_wanted` that it was the very thing asked for
    (`destroy`).
    """

    count: int = 0
    created: int = 0
    replaced: int = 0
    by_others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmentioned: tuple[str, ...] = ()
    allowed: bool = False
    all_wanted: bool = False

    @property
    def must_type(self) -> str:
        """What has to be typed to agree, "" where a yes is enough."""
        own = self.count > self.created or self.unmentioned
        asks = self.by_others or (own and not self.all_wanted)
        total = self.count + self.replaced
        return f"delete {total}" if asks and total and not self.allowed else ""
