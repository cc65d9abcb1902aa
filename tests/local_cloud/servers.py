"""A store's server by itself: started as the supervisor would, without one."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.child import clean_environment

__all__ = ("PASSWORD", "GivenServices", "Served", "served")

PASSWORD = Secret("made-up.for_tests")
DEADLINE_S = 30.0


class Served:
    """A running server: its ports by name, and what can happen to it."""

    def __init__(self, store, folder):
        self.store = store
        self.folder = folder
        self.ports = {name: _free() for name in store.ports}
        self.process = None
        self.start()

    def start(self):
        """Start it, and wait until it listens."""
        command = self.store.start(self.folder / self.store.name, self.ports, PASSWORD)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command.words,
                env={**clean_environment(), **command.environment},
                stdout=log,
                stderr=log,
            )
        self._signal = command.stop_signal
        deadline = time.monotonic() + DEADLINE_S
        while not all(map(_listens, self.ports.values())):
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)

    def stop(self):
        """Stop it as the supervisor does."""
        if self.process.poll() is None:
            self.process.send_signal(self._signal)
            assert self.process.wait(DEADLINE_S) in (0, -self._signal)

    def kill(self):
        """End it in the middle of whatever it does."""
        os.kill(self.process.pid, 9)
        self.process.wait(DEADLINE_S)

    @property
    def port(self) -> int:
        """Its only port, or its first one."""
        return next(iter(self.ports.values()))


@contextmanager
def served(store, folder):
    """A server, stopped in the end."""
    server = Served(store, folder)
    try:
        yield server
    finally:
        server.stop()


def _free() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1.0)
        return asking.connect_ex(("127.0.0.1", port)) == 0


class GivenServices:
    """The stores of a stack, all of them this server."""

    def __init__(self, server):
        self._server = server

    def wake(self, service):
        return f"http://127.0.0.1:{self._server.ports[service]}"

    def password(self, store):
        return PASSWORD
