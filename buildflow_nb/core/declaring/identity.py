"""Who declares a flow: the notebook or the program, by its path within the project.

It names the flow that has no name of its own, so that two notebooks in a folder are two flows, and
it stands beside each cloud resource that was applied, so that nobody deletes what is another's.
A module that several programs import is one flow, whichever of them runs.
"""

from __future__ import annotations

import inspect
import sys
import sysconfig
from pathlib import Path
from types import FrameType

from buildflow_nb.core.surroundings import kernel, saved_file

__all__ = ("NAMELESS", "caller_of", "identity")

NAMELESS = "buildflow-app"  # BuildFlow's own default, for code that is in no file
_OURS = __name__.partition(".")[0]
_INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")})
_SHELL = "IPython"  # loads the extension, on behalf of the notebook


def caller_of() -> FrameType | None:
    """The nearest frame of somebody's code: not this package's, nor of what is installed."""
    frame = inspect.currentframe()
    while frame is not None and (_package(frame) == _OURS or _is_installed(frame)):
        frame = frame.f_back
    return frame


def identity(folder: Path, frame: FrameType | None) -> str:
    """The path, within the project's folder, of the file whose code runs in a frame.

    A file that is elsewhere is told by its whole path, code that is in no file as `NAMELESS`.
    """
    path = _file(frame)
    if path is None:
        return NAMELESS
    path, base = path.parent.resolve() / path.name, folder.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def _is_installed(frame: FrameType) -> bool:
    """Whether a frame is the standard library's or a package's, save the shell's."""
    file = frame.f_globals.get("__file__")
    return isinstance(file, str) and file.startswith(_INSTALLED) and _package(frame) != _SHELL


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _file(frame: FrameType | None) -> Path | None:
    main = vars(sys.modules["__main__"])
    names = main if frame is None or _package(frame) == _SHELL else frame.f_globals
    if kernel() is not None and "__file__" not in names:
        found = saved_file(main)
        return found.path or found.lost
    told = names.get("__file__") or main.get("__file__")
    return Path(told) if isinstance(told, str) else None
