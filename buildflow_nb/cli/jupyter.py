"""`buildflow jupyter install|uninstall`: kernels that load the extension by themselves.

What is written is one startup file of our own, in a profile of IPython or for a whole environment;
nothing that is there is changed. See `flow/autoload.py` for how it knows itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from buildflow_nb.core.errors import InfraError, UsageError
from buildflow_nb.core.options import nearest
from buildflow_nb.flow.autoload import Startup, StartupFile

__all__ = ("HELP", "jupyter")

ACTIONS = ("install", "uninstall")
HELP = """\
buildflow jupyter install|uninstall [--profile NAME] [--sys-prefix]

have kernels load buildflow_nb by themselves, or no longer
  install         write a startup file of our own; what is there stays as it is
  uninstall       remove it again, if it is as we wrote it
  --profile NAME  the profile of IPython to do it in (default 'default')
  --sys-prefix    for every profile of this environment instead

Like buildflow jupyter install"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        msg = f"jupyter: {message}; like buildflow jupyter install"
        raise UsageError(msg)


def jupyter(words: Sequence[str]) -> str:
    """Do what the words after `jupyter` say, and tell what is so afterwards.

    Raises:
        UsageError: the words are wrong, there is no such profile, or a file was edited by hand.
        InfraError: the file cannot be written.
    """
    if not words or set(words) & {"-h", "--help"}:
        return HELP
    asked = _asked(words)
    file = StartupFile(_folder(asked.profile, everywhere=asked.sys_prefix))
    try:
        return _install(file) if asked.action == "install" else _uninstall(file)
    except OSError as error:
        msg = f"{file.path} cannot be changed: {error.strerror}; mend its folder's permissions"
        raise InfraError(msg) from error


def _asked(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("action")
    parser.add_argument("--profile")
    parser.add_argument("--sys-prefix", action="store_true")
    asked = parser.parse_args(list(words))
    if asked.action not in ACTIONS:
        near = nearest(asked.action, ACTIONS)
        msg = f"jupyter: {asked.action!r} is neither install nor uninstall{near}"
        raise UsageError(msg)
    if asked.profile and asked.sys_prefix:
        msg = "jupyter: --profile and --sys-prefix are two places; give one of them"
        raise UsageError(msg)
    return asked


def _folder(profile: str | None, *, everywhere: bool) -> Path:
    """The startup folder, of a profile that is there or of the environment."""
    if everywhere:
        return Path(sys.prefix) / "etc" / "ipython" / "startup"
    from IPython.paths import get_ipython_dir

    root = Path(get_ipython_dir())
    name = profile or "default"
    place = root / f"profile_{name}"
    if not place.is_dir() and profile is not None:
        known = [path.name.removeprefix("profile_") for path in sorted(root.glob("profile_*"))]
        there = f"{root} has: {', '.join(known) or 'none'}{nearest(name, known)}"
        msg = f"jupyter: no profile {name!r}; {there}"
        raise UsageError(msg)
    return place / "startup"  # IPython makes the default one when it first starts


def _install(file: StartupFile) -> str:
    if file.look() is Startup.EDITED:
        msg = f"{file.path} was edited by hand, and is left alone; move it away, then install again"
        raise UsageError(msg)
    file.write()
    return (
        f"{file.path} is in place: kernels of it load buildflow_nb and bind app by themselves; "
        "restart those that run"
    )


def _uninstall(file: StartupFile) -> str:
    found = file.remove()
    if found is Startup.EDITED:
        msg = f"{file.path} was edited by hand, and is left alone; remove it yourself"
        raise UsageError(msg)
    gone = found is Startup.OURS
    return f"{file.path} is removed" if gone else f"nothing to remove: {file.path} is not there"
