"""One cluster for all tests that join one, and a host on it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.ray.host import RayHost, RayHosted
from buildflow_nb.runtime.replicas.host import Wants

from .rig import STAND_IN, Rig, started


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is an extra: pip install 'buildflow_nb[ray]'")
    made = started()
    yield made
    made.close()


class Opened:
    """A host that is open, used from the test's thread."""

    def __init__(self, host: RayHost) -> None:
        self.host = host
        self.lost: list[str] = []
        self.waits: list[str] = []
        loop_thread().run(host.open(self.lost.append), 200.0)
        self.folder = host._driver._folder

    def spawn(self, name: str, wants: Wants | None = None, timeout_s: float = 60.0) -> RayHosted:
        work = self.host.spawn(name, wants or Wants(), self.waits.append)
        return loop_thread().run(work, timeout_s)

    def call(
        self, hosted: RayHosted, method: str, payload: bytes = b"", timeout_s: float = 20.0
    ) -> bytes:
        return loop_thread().run(hosted.call(method, payload, timeout_s), timeout_s + 5.0)

    def kill(self, hosted: RayHosted) -> None:
        loop_thread().run(hosted.kill())

    def close(self) -> None:
        loop_thread().run(self.host.close(), 100.0)


@pytest.fixture(scope="session")
def shared(rig: Rig) -> Iterator[Opened]:
    """A host for tests that leave it as it was."""
    made = Opened(RayHost(rig.address, replica=STAND_IN))
    yield made
    made.close()


@pytest.fixture
def opened() -> Iterator[list[Opened]]:
    """Hosts that a test opens are closed."""
    made: list[Opened] = []
    yield made
    for one in made:
        one.close()
