"""`buildflow jupyter install|uninstall`: kernels that load the extension by themselves.

What is written is one startup file of our own, in a profile of IPython or for a whole environment;
nothing that is there is changed. See `flow/doctor/autoload.py` for how it knows itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.errors import InfraError, UsageError
from buildflow_nb.core.options import nearest
from buildflow_nb.flow.doctor.autoload import Startup, StartupFile

__all__ = ("jupyter",)


def jupyter(values: Mapping[str, Any], terminal: Terminal) -> None:
    """Install or uninstall, and tell what is so afterwards.

    Raises:
        UsageError: there is no such profile, or a file was edited by hand.
        InfraError: the file cannot be written.
    """
    if values["profile"] and values["sys_prefix"]:
        msg = "jupyter: --profile and --sys-prefix are two places; give one of them"
        raise UsageError(msg)
    file = StartupFile(_folder(values["profile"], everywhere=values["sys_prefix"]))
    try:
        said = _install(file) if values["action"] == "install" else _uninstall(file)
    except OSError as error:
        msg = f"{file.path} cannot be changed: {error.strerror}; mend its folder's permissions"
        raise InfraError(msg) from error
    terminal.give({"path": file.path, "installed": file.path.exists(), "said": said}, said)


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
