"""A store of the local cloud: a server that is started only when something needs it.

Warehouses and databases take a second to start and up to hundreds of megabytes, so one that nobody
has asked for does not run. Its ports are chosen with all the others, so that its address is known,
and stays the same, whether or not it runs; its password is made once for the folder.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.project_folder import make_private, read_private, write_once
from buildflow_nb.local_cloud.child import Command

__all__ = ("Store", "forget_password", "password_of")

BYTES = 24  # of chance in a password


@dataclass(frozen=True, slots=True)
class Store:
    """How a store's server is started, and where it is.

    `ports` are names, each also an endpoint's; `scheme` stands before their addresses. `start`
    gives the command for a state folder, the numbers of the ports and the password; it may block,
    and raises `OSError` or `InfraError` where the server cannot be started. `modules` are those
    that it needs besides the default installation, which `extra` brings.
    """

    name: str
    ports: tuple[str, ...]
    start: Callable[[Path, Mapping[str, int], Secret], Command]
    extra: str
    modules: tuple[str, ...] = ()
    scheme: str = "http"

    def check_installed(self) -> None:
        """Look whether its server is here.

        Raises:
            InfraError: the extra that brings it is not installed.
        """
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                msg = f"the local cloud's {self.name} needs its server: pip install '{self.extra}'"
                raise InfraError(msg)


def password_of(folder: Path, store: str) -> Secret:
    """The password of a store in a cloud's folder, made when it is first asked for.

    Raises:
        OSError: it cannot be kept, or a link is in its place.
    """
    path = _place(folder, store)
    with suppress(FileNotFoundError):
        return Secret(read_private(path).decode())
    make_private(path.parent)
    write_once(path, secrets.token_urlsafe(BYTES).encode())  # of several, one wins
    return Secret(read_private(path).decode())


def forget_password(folder: Path, store: str) -> None:
    """Let the next one be another."""
    with suppress(FileNotFoundError):
        os.unlink(_place(folder, store))  # noqa: PTH108  (a link itself, never what it names)


def _place(folder: Path, store: str) -> Path:
    return folder / "passwords" / store
