"""Formats a program by ruff, if it is installed; the text is right without it for usual code."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

__all__ = ("tidied",)

_TIME_S = 10.0  # more than it takes by far; the text is as good as before


def tidied(text: str) -> str:
    """The same program in ruff's format; as it is where ruff is missing or fails."""
    ruff = _ruff()
    if ruff is None:
        return text
    asked = [ruff, "format", "--isolated", "--quiet", "--stdin-filename", "main.py", "-"]
    try:
        done = subprocess.run(  # noqa: S603  (a fixed program; the text goes by its input)
            asked, input=text.encode(), capture_output=True, timeout=_TIME_S, check=True
        )
        return done.stdout.decode() or text
    except (OSError, ValueError, subprocess.SubprocessError):
        return text


def _ruff() -> str | None:
    """The one of this environment before any other."""
    scripts = Path(sysconfig.get_path("scripts"))
    return shutil.which("ruff", path=str(scripts)) or shutil.which("ruff")
