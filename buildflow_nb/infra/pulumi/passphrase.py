"""The passphrase that encrypts the secrets in a stack's state.

The environment's wins; otherwise one is made once for a project folder, readable by its owner only.
Losing it means losing the secrets in the state, so it is never overwritten.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.project_folder import read_private, write_once

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
            write_once(path, secrets.token_urlsafe(BYTES).encode())
        return Secret(read_private(path).decode().strip())
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the passphrase of the stack's secrets cannot be had: {error}; or set {VARIABLE}"
        raise InfraError(msg) from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
