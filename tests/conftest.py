"""What all tests share: asyncio's own loop, as a plain install has it, and how they are shared out.

uvloop is an extra; kernels and scripts that tests start as processes of their own do use it.
"""

from __future__ import annotations

import compileall
import gc
import os
import signal
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

sys.modules["uvloop"] = None  # type: ignore[assignment]  # an import of it fails from now on

# A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is the project's own is compiled once, not by each of the processes that tests start. What
# tests write is not kept compiled: written anew within a second, it would be taken for the old.
sys.dont_write_bytecode = False
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Compile the project."""
    if not hasattr(config, "workerinput"):
        for folder in ("buildflow_nb", "tests"):
            compileall.compile_dir(ROOT / folder, quiet=2)


def pytest_collection_finish() -> None:
    """Keep nothing compiled from now on."""
    sys.dont_write_bytecode = True


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
