"""How several processes of pytest (`-n 2`) share out the tests: who runs what, and what first.

The tests of one group run in one process, one after the other: those that share something that is
dear to start (a JupyterLab, a local cloud, an emulator), and otherwise those of one file. The
longest groups begin first, so that at the end no process waits long for the other.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

__all__ = ("ByGroup", "in_order")

# Folders whose tests share something, and files that take long: the longest first, but for those of
# queues, which wait more than they work and so get on well beside the browser.
LONGEST = (
    "tests/browser",
    "tests/io/aws",
    "tests/io/gcp",
    "tests/infra",
    "tests/local_cloud",
    "tests/local_cloud/provider",
    "tests/local_cloud/pubsub",
    "tests/local_cloud/storage",
    "tests/ray",
    "tests/kernels",
    "tests/notebooks",
    "tests/documents",
    "tests/faults",
    "tests/cli/test_operations.py",
    "tests/cli/test_reloading.py",
    "tests/secrets/test_everywhere.py",
    "tests/export/test_clean_environment.py",
)
# Port 8000 is where a flow serves unless it is told otherwise: one process at a time uses it.
ELSEWHERE = dict.fromkeys(("tests/cli/test_starting.py", "tests/flow/test_doctor.py"), LONGEST[0])
RANKS = {name: rank for rank, name in enumerate(LONGEST)}


class ByGroup(LoadScopeScheduling):
    """Gives whole groups to whoever has nothing left to do, in the order in which they come."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """The innermost of the longest that a test's file is, or lies in; else the file itself."""
    file = nodeid.partition("::")[0]
    if file in ELSEWHERE:
        return ELSEWHERE[file]
    inside = [one for one in LONGEST if file == one or file.startswith(f"{one}/")]
    return max(inside, key=len, default=file)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests with the longest groups first, and otherwise as they came."""
    return sorted(items, key=lambda item: RANKS.get(group_of(item.nodeid), len(RANKS)))
