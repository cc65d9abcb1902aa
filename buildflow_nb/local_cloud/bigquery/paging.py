"""Pages: tokens are the place where the next one begins.

Source: BigQuery documentation, "Paging through table data using the BigQuery API".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from buildflow_nb.local_cloud.bigquery.refusal import invalid

__all__ = ("Page", "listed")

T = TypeVar("T")
ROWS = 20_000  # of a page where nothing is said; Google's end at 10 MB
MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for: where it begins, and how many it has at most."""

    start: int
    size: int

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Page:
        """The page that a request's parameters say.

        Raises:
            RefusedError: they are no numbers.
        """
        try:
            start = int(query.get("pageToken") or query.get("startIndex") or 0)
            said = query.get("maxResults")
            size = ROWS if said is None else int(said)
        except ValueError as error:
            msg = f"Invalid page: {error}"
            raise invalid(msg) from error
        if start < 0 or size < 0:
            msg = "Invalid page: it begins, or has, less than nothing"
            raise invalid(msg)
        return cls(start, min(size, MOST_ROWS))


def listed(
    kind: str, name: str, found: Sequence[T], page: Page, show: Callable[[T], Any]
) -> dict[str, Any]:
    """A page of a list as an answer."""
    part = found[page.start : page.start + page.size]
    behind = page.start + len(part)
    answer: dict[str, Any] = {"kind": kind, name: [show(each) for each in part]}
    if behind < len(found):
        answer["nextPageToken"] = str(behind)
    return answer
