"""What this process is: a Jupyter kernel, something with an event loop, or a plain program."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar

__all__ = ("BEING_LOADED", "kernel", "must_not_block")

BEING_LOADED: ContextVar[bool] = ContextVar("being_loaded", default=False)
"""Whether a program is imported for its declarations alone: nothing in it may run then."""


def kernel() -> object | None:
    """The Jupyter kernel that this process is, if it is one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None)


def must_not_block() -> bool:
    """Whether blocking here would hold up a kernel or an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return kernel() is not None
    return True
