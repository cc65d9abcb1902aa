"""Where the notebook of this kernel is saved, as far as its front end says so.

Jupyter's server names the file in the kernel's environment, VS Code in a variable. Neither is told
when the file is renamed, so that a file that is not there is said, and done without.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ("SavedFile", "saved_file")

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
