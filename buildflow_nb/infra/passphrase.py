"""The passphrase that encrypts the secrets in a stack's state.

The environment's wins; otherwise one is made once for a project folder, readable by its owner only.
Losing it means losing the secrets in the state, so it is never overwritten.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError

__all__ = ("passphrase",)

VARIABLE = "PULUMI_CONFIG_PASSPHRASE"
VARIABLE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"
BUILDFLOW_VARIABLE = "BUIDFLOW_PULUMI_PASSPHRASE"  # BuildFlow 0.3 spells it so
FILE_NAME = "passphrase"
BYTES = 32


def passphrase(folder: Path, environment: Mapping[str, str] = os.environ) -> Secret:
    """The passphrase for a project whose private folder (`.buildflow`) is given.

    Raises:
        InfraError: a file that should hold it cannot be read or made.
    """
    for variable in (VARIABLE, BUILDFLOW_VARIABLE):
        if variable in environment:
            return Secret(environment[variable])
    try:
        if VARIABLE_FILE in environment:
            return Secret(_text(Path(environment[VARIABLE_FILE])))
        path = folder / FILE_NAME
        if not path.exists():
            _make(path)
        return Secret(_text(path))
    except OSError as error:
        msg = f"the passphrase of the stack's secrets cannot be had: {error}; or set {VARIABLE}"
        raise InfraError(msg) from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _make(path: Path) -> None:
    """Make the file whole or not at all; if several do it at once, the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(BYTES))
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        os.unlink(partial)  # noqa: PTH108  (mkstemp gives a name, not a path)
