"""The startup file by which kernels of an IPython profile load the extension by themselves.

It is a file of our own beside those of the user's, and knows itself by its content: its first line
holds a checksum of the rest, so that one that was edited is told apart from one that we wrote.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ("EXTENSION", "FILE_NAME", "Startup", "StartupFile")

EXTENSION = "buildflow_nb.notebook.autoload"
FILE_NAME = "50-buildflow-nb.py"
_MARK = "# buildflow_nb autoload "
_BODY = f'''\
# Written by `buildflow jupyter install`; `buildflow jupyter uninstall` removes it.
# Kernels load buildflow_nb where it is installed; elsewhere this does nothing.
def _buildflow_autoload():
    from importlib.util import find_spec

    shell = get_ipython()
    if getattr(shell, "kernel", None) is not None and find_spec("buildflow_nb") is not None:
        shell.extension_manager.load_extension("{EXTENSION}")


_buildflow_autoload()
del _buildflow_autoload
'''


class Startup(Enum):
    """How a startup file is."""

    MISSING = "missing"
    OURS = "ours"  # as some version of this package wrote it
    EDITED = "edited"  # or somebody else's


@dataclass(frozen=True, slots=True)
class StartupFile:
    """The file in one `startup` folder of IPython's."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / FILE_NAME

    def look(self) -> Startup:
        """How it is.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            first, _, rest = self.path.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return Startup.MISSING
        except UnicodeDecodeError:
            return Startup.EDITED
        return Startup.OURS if first == _first_line(rest) else Startup.EDITED

    def write(self) -> bool:
        """Write it, unless one that was edited is there; whether it is in place as we write it.

        Raises:
            OSError: it cannot be written.
        """
        if self.look() is Startup.EDITED:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        text = f"{_first_line(_BODY)}\n{_BODY}"
        partial = self.path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path)
        return True

    def remove(self) -> Startup:
        """Remove it if it is ours; gives how it was.

        Raises:
            OSError: it cannot be removed.
        """
        found = self.look()
        if found is Startup.OURS:
            self.path.unlink()
        return found


def _first_line(rest: str) -> str:
    return f"{_MARK}{hashlib.sha256(rest.encode()).hexdigest()}"
