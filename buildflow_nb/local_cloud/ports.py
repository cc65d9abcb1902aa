"""Ports of the local cloud: free ones of the loopback, and the same ones again where possible.

A cloud that comes back where it was lets running clients connect again by themselves.

A port that is merely known to be free may be anybody's a moment later. So the supervisor keeps a
bound socket at each for as long as it lives, also while an emulator is started again: on Linux,
nobody is then given the port by chance, and whoever asks for it by number gets it only with
SO_REUSEADDR, as the emulators do (ip(7) and socket(7): until a socket listens, ones with that
option may share an address). It keeps no one out who means to have it; `listener.py` notices that.
Other systems do not share ports so; there the socket is let go of.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.project_folder import write_whole

__all__ = ("HOST", "Ports", "is_taken")

HOST = "127.0.0.1"
SHARED = sys.platform == "linux"
HIGHEST = 65_535


class Ports:
    """The ports that a supervisor holds, by name."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ports.json"
        self._held: list[socket.socket] = []

    def choose(self, names: Iterable[str], but: Collection[int] = ()) -> dict[str, int]:
        """A free port for each name: the one of the last time, or any; kept in mind in the folder.

        `but` are ports that are known to be another's.

        Raises:
            OSError: none is free, or the folder cannot be written.
        """
        self.let_go()
        before = self._read()
        chosen: dict[str, int] = {}
        for name in names:
            wanted = before.get(name, 0)
            bound = (_bind(wanted) if wanted not in but else None) or _bind(0)
            if bound is None:
                msg = f"no free port on {HOST} for the local cloud's {name}"
                raise OSError(msg)
            self._held.append(bound)  # at least until all are chosen, so that no two are the same
            chosen[name] = bound.getsockname()[1]
        if not SHARED:
            self.let_go()
        write_whole(self._path, json.dumps(chosen).encode())
        return chosen

    def let_go(self) -> None:
        """Hold none any more."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _read(self) -> dict[str, int]:
        try:
            found = read_own(self._path, dict[str, int])
        except (OSError, DamagedError):
            return {}
        return {name: port for name, port in found.items() if 0 < port <= HIGHEST}


def is_taken(port: int) -> bool:
    """Whether a server could not listen at a port."""
    bound = _bind(port)
    if bound is None:
        return True
    bound.close()
    return False


def _bind(port: int) -> socket.socket | None:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A server that ended a moment ago leaves connections behind; its port is free all the same.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except OSError:
        made.close()
        return None
    return made
