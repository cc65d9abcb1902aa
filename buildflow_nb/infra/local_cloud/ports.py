"""Ports of the local cloud: free ones of the loopback, and the same ones again where possible.

A cloud that comes back where it was lets running clients connect again by themselves.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from pathlib import Path

__all__ = ("HOST", "choose_ports")

HOST = "127.0.0.1"


def choose_ports(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """A free port for each name: the one of the last time, or any; remembered in the folder."""
    path = folder / "ports.json"
    before = _read(path)
    taken: list[socket.socket] = []
    chosen: dict[str, int] = {}
    try:
        for name in names:
            bound = _bind(before.get(name, 0)) or _bind(0)
            if bound is None:
                msg = f"no free port on {HOST} for the local cloud's {name}"
                raise OSError(msg)
            taken.append(bound)  # held until all are chosen, so that no two are the same
            chosen[name] = bound.getsockname()[1]
    finally:
        for held in taken:
            held.close()
    path.write_text(json.dumps(chosen), encoding="utf-8")
    return chosen


def _read(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): int(port) for name, port in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


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
