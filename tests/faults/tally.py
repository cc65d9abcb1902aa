"""What came of a scenario: every element has a number, and is counted where it arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ("Tally", "table")

_HEAD = ("scenario", "faults", "elements", "lost", "repeated", "kept", "seconds", "verdict")


@dataclass(frozen=True)
class Tally:
    """The numbers of one scenario.

    `kept` are elements that failed and are in a dead letter; `allowed` is how many may be repeated,
    None for any number; `wrong` says what else is not as promised.
    """

    scenario: str
    faults: int
    elements: int
    lost: int
    repeated: int
    kept: int = 0
    seconds: float = 0.0
    allowed: int | None = None
    wrong: str = ""

    @classmethod
    def of(  # noqa: PLR0913  (what is counted)
        cls,
        scenario: str,
        faults: int,
        expected: Iterable[int],
        found: Iterable[int],
        *,
        kept: Iterable[int] = (),
        allowed: int | None = None,
        wrong: str = "",
    ) -> Tally:
        """Count what was expected against what was found, and kept as failures."""
        wanted, seen, failed = set(expected), Counter(found), set(kept)
        strange = seen.keys() - wanted
        if strange and not wrong:
            wrong = f"{len(strange)} elements that nobody sent, {min(strange)} for one"
        lost = len(wanted - seen.keys() - failed)
        repeated = seen.total() - len(seen)
        return cls(
            scenario, faults, len(wanted), lost, repeated, len(failed), allowed=allowed, wrong=wrong
        )

    @property
    def verdict(self) -> str:
        """ "ok", or what is not."""
        if self.wrong:
            return self.wrong
        if self.lost:
            return "LOST"
        too_many = self.allowed is not None and self.repeated > self.allowed
        return f"more than {self.allowed} repeated" if too_many else "ok"

    def row(self) -> tuple[str, ...]:
        """One line of the table."""
        numbers = (self.faults, self.elements, self.lost, self.repeated, self.kept)
        return (
            self.scenario,
            *(f"{number:,}" for number in numbers),
            f"{self.seconds:.1f}",
            self.verdict,
        )


def table(tallies: Iterable[Tally]) -> str:
    """All of them in Markdown, as docs/reliability.md shows them."""
    rows = [_HEAD, ("---", *["---:"] * 6, "---"), *(tally.row() for tally in tallies)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
