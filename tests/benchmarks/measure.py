"""How the benchmarks measure: both sides in turn, in one run, and the ratio pair by pair.

Machines are shared and noisy. A median over rounds of a ratio within each round holds when the
machine's speed drifts; a single time does not.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

__all__ = ("interleave", "table")

Side = Callable[[], float]


def interleave(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Run every side in each round, in turn; each gives its figure. One round to warm up."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            figure = side()
            if number:
                figures[name].append(figure)
    return figures


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def table(
    title: str, figures: Mapping[str, list[float]], unit: str, goals: Mapping[str, str]
) -> None:
    """Print medians and the ratio of the first side to each other one."""
    first, *others = figures
    out = sys.stdout.write
    out(f"\n{title}\n")
    width = max(map(len, figures))
    out(f"  {first:<{width}}  {statistics.median(figures[first]):>12,.0f} {unit}\n")
    for other in others:
        times = ratio(figures[first], figures[other])
        goal = f"   goal {goals[other]}" if other in goals else ""
        middle = statistics.median(figures[other])
        out(f"  {other:<{width}}  {middle:>12,.0f} {unit}   ratio {times:.2f}{goal}\n")
    sys.stdout.flush()
