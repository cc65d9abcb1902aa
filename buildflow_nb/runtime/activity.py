"""Whether anything in a run has moved since: a count that all its units share.

A source is known to be empty only by a pull that began after everything else was settled, since
what one processor writes may be what another one reads. Clocks cannot tell that order to the last
step; a count that grows with every element taken in and every element done with can.
"""

from __future__ import annotations

__all__ = ("Activity",)


class Activity:
    """Used on the loop only."""

    def __init__(self) -> None:
        self.count = 0

    def stir(self) -> None:
        """Something was taken in, or is done with."""
        self.count += 1
