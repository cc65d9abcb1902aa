"""A replica that does as it is told, and writes down how it ended."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

FENCE_S = float(os.environ.get("STAND_IN_FENCE_S", "30"))


class StandIn:
    """Answers what the tests ask; ends by itself where nobody tells it that its host works."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._beats = 0
        self._seen = time.monotonic()
        self._diary: Path | None = None
        threading.Thread(target=self._fence, daemon=True).start()

    def call(self, method: str, payload: bytes) -> bytes:
        return getattr(self, f"_{method}")(payload)

    def beat(self) -> None:
        self._beats += 1
        self._seen = time.monotonic()

    def end(self, grace_s: float) -> None:
        self._write(f"drained in {grace_s:g}")

    def _fence(self) -> None:
        while time.monotonic() - self._seen < FENCE_S:
            time.sleep(0.1)
        self._write("fenced")
        os._exit(1)

    def _write(self, what: str) -> None:
        if self._diary is not None:
            with self._diary.open("a") as file:
                file.write(f"{self._name} {what}\n")

    def _diary_at(self, payload: bytes) -> bytes:
        self._diary = Path(payload.decode())
        return b""

    def _echo(self, payload: bytes) -> bytes:
        return payload

    def _name_of(self, payload: bytes) -> bytes:
        return self._name.encode()

    def _beats_of(self, payload: bytes) -> bytes:
        return str(self._beats).encode()

    def _wait(self, payload: bytes) -> bytes:
        time.sleep(float(payload))
        return b"waited"

    def _raise(self, payload: bytes) -> bytes:
        msg = payload.decode()
        raise ValueError(msg)

    def _leave(self, payload: bytes) -> bytes:
        os._exit(int(payload))


class Broken:
    """One that cannot be made."""

    def __init__(self, name: str) -> None:
        msg = f"no {name} today"
        raise ValueError(msg)
