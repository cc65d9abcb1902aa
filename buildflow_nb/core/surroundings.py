"""What this process is: a Jupyter kernel, something with an event loop, or a plain program.

Jupyter's server names a kernel's notebook in its environment, VS Code in a variable. Neither is
told when the file is renamed, so that a file that is not there is said, and done without.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ("BEING_LOADED", "SavedFile", "cell_of_file", "kernel", "must_not_block", "saved_file")

BEING_LOADED: ContextVar[bool] = ContextVar("being_loaded", default=False)
"""Whether a program is imported for its declarations alone: nothing in it may run then."""


def kernel() -> object | None:
    """The Jupyter kernel that this process is, if it is one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None)


def cell_of_file(file: str) -> str:
    """The cell whose code a kernel has given that file name, as "[5]"; "" for any other file.

    IPython's compiler gives each cell the name of a temporary file, and knows which it was.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    known = getattr(getattr(shell, "compile", None), "_filename_map", None)
    number = known.get(file) if isinstance(known, dict) else None
    return f"[{number}]" if isinstance(number, int) else ""


def must_not_block() -> bool:
    """Whether blocking here would hold up a kernel or an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return kernel() is not None
    return True


_OF_JUPYTER = "JPY_SESSION_NAME"  # set by jupyter_server for the kernels that it starts
_OF_VS_CODE = "__vsc_ipynb_file__"
_ENDING = ".ipynb"


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A notebook file; `lost` is one that the front end named, and that is not there."""

    path: Path | None = None
    lost: Path | None = None


def saved_file(names: dict[str, Any]) -> SavedFile:
    """The file of the notebook whose code sees these names."""
    told = (names.get(_OF_VS_CODE), os.environ.get(_OF_JUPYTER))
    paths = [Path(one) for one in told if isinstance(one, str) and one.endswith(_ENDING)]
    found = next((path for path in paths if path.is_file()), None)
    return SavedFile(found, None if found or not paths else paths[0])
