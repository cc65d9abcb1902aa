"""Watches which addresses a test's processes connect to.

Two ways, since each has a blind spot: an audit hook sees every call of Python code, however short,
but nothing of compiled libraries; looking at the system's table of connections, many times a
second, sees those too, if they last.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from pathlib import Path
from typing import Self

import psutil

__all__ = ("Watch",)

EVERY_S = 0.02
HOOK = """
import sys

def _note(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    with open({path!r}, "a") as file:
        file.write(f"{{host}}\\n")

sys.addaudithook(_note)
"""


class Watch:
    """A context in which connections are noted; Python processes begun in it are hooked."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "asked"
        self._log.touch()
        (folder / "sitecustomize.py").write_text(HOOK.format(path=str(self._log)))
        self.python_path = str(folder)
        self._seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._known: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def asked(self) -> set[str]:
        """Hosts that Python code connected to or looked up."""
        return set(self._log.read_text().split())

    @property
    def outside(self) -> set[str]:
        """Whatever was not on this machine."""
        return {host for host in self.asked | self._seen if not _is_here(host)}

    @property
    def connections(self) -> int:
        """How many addresses were seen at all: a watch that sees nothing proves nothing."""
        return len(self._seen)

    def _look(self) -> None:
        while not self._ended.wait(EVERY_S):
            for process in psutil.Process(os.getpid()).children(recursive=True):
                self._known.setdefault(process.pid, process)
            for process in list(self._known.values()):
                try:
                    found = process.net_connections(kind="inet")
                except psutil.Error:
                    continue
                self._seen |= {connection.raddr.ip for connection in found if connection.raddr}


def _is_here(host: str) -> bool:
    if host in ("localhost", "None", ""):
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("::ffff:"))
    except ValueError:
        return False
    return address.is_loopback
