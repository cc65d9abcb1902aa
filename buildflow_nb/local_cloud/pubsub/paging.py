"""Lists in pages, ordered by name.

A token names the last item of the page before, so that a list which changes meanwhile neither
repeats nor skips what stayed (Google's AIP-158, "Pagination").
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeVar

from buildflow_nb.local_cloud.pubsub.status import invalid

__all__ = ("page",)

MOST_PER_PAGE = 1_000

T = TypeVar("T")


def page(items: Mapping[str, T], size: int, token: str) -> tuple[list[T], str]:
    """Give a page of the items, and the token of the next page or "".

    Raises:
        StatusError: INVALID_ARGUMENT, if the size is negative or the token is not one of ours.
    """
    if size < 0:
        message = f"Invalid page_size given (value={size}). It must not be negative."
        raise invalid(message)
    last = _decode(token)
    names = sorted(name for name in items if name > last)
    limit = min(size or MOST_PER_PAGE, MOST_PER_PAGE)
    chosen = names[:limit]
    following = _encode(chosen[-1]) if len(names) > limit else ""
    return [items[name] for name in chosen], following


def _encode(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        message = "Invalid page_token given; pass on the next_page_token of the last answer."
        raise invalid(message) from error
