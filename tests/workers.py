"""How several processes of pytest (`-n 2`) share out the tests: who runs what, and what first.

The tests of one group run in one process, one after the other: those that share something that is
dear to start (a JupyterLab, a local cloud, an emulator), and otherwise those of one file. The
longest groups begin first, so that at the end no process waits long for the other.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

__all__ = ("ByGroup", "in_order")

# Folders whose tests share something, and files that take long: the longest first.
LONGEST = (
    "tests/browser",
    "tests/infra",
    "tests/local_cloud",
    "tests/local_cloud/provider",
    "tests/local_cloud/pubsub",
    "tests/local_cloud/storage",
    "tests/io/gcp",
    "tests/io/aws",
)
RANKS = {name: rank for rank, name in enumerate(LONGEST)}


class ByGroup(LoadScopeScheduling):
    """Gives whole groups to whoever has nothing left to do, in the order in which they come."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """The innermost of the longest that a test's file is, or lies in; else the file itself."""
    file = nodeid.partition("::")[0]
    inside = [one for one in LONGEST if file == one or file.startswith(f"{one}/")]
    return max(inside, key=len, default=file)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests with the longest groups first, and otherwise as they came."""
    return sorted(items, key=lambda item: RANKS.get(group_of(item.nodeid), len(RANKS)))
