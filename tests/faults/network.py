"""A bad network: a TCP proxy of this machine that delays, throttles and cuts connections.

It knows no protocol, so that it stands before HTTP and gRPC alike.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

__all__ = ("Network", "Weather")

CHUNK = 64 << 10


@dataclass(frozen=True)
class Weather:
    """What happens to each piece that passes: seconds of delay, bytes a second, odds of a cut."""

    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    cut: float = 0.0


class Network:
    """Passes connections to `url` on to another address of this machine."""

    def __init__(self, upstream: str, weather: Weather, seed: int) -> None:
        host, port = upstream.removeprefix("http://").split(":")
        self._upstream = (host, int(port))
        self._weather = weather
        self._rng = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.cuts = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for one in list(self._open):
            _close(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._upstream)
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        weather = self._weather
        with suppress(OSError):
            while piece := one.recv(CHUNK):
                if weather.cut and self._rng.random() < weather.cut:
                    self.cuts += 1
                    break
                time.sleep(weather.delay_s)
                if weather.bytes_per_s:
                    time.sleep(len(piece) / weather.bytes_per_s)
                other.sendall(piece)
        for each in (one, other):
            _close(each)
            self._open.discard(each)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
