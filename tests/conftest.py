"""What all tests share: asyncio's own loop, as a plain install has it, and how they are shared out.

uvloop is an extra; kernels and scripts that tests start as processes of their own do use it.
"""

from __future__ import annotations

import gc
import signal
import sys
import warnings

import pytest

sys.modules["uvloop"] = None  # type: ignore[assignment]  # an import of it fails from now on

# A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `-n`, keep together what shares something."""
    from tests.workers import ByGroup

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n`, begin with what takes longest."""
    if hasattr(config, "workerinput"):
        from tests.workers import in_order

        items[:] = in_order(items)


def pytest_sessionfinish() -> None:
    """Drop what Pulumi's SDK leaves open after a program that failed, where no test came after."""
    if "pulumi" in sys.modules:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "unclosed event loop", ResourceWarning)
            gc.collect()
