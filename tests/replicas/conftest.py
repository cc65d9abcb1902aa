"""A host of child processes in place of the one that a run would open."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

import buildflow_nb.runtime.handle as handle_module
from buildflow_nb.runtime.replicas.engine import Replicated

from .child_host import ChildHost


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildHost]:
    made = ChildHost()
    monkeypatch.setattr(
        handle_module, "engine_of", lambda plan, clock: Replicated(plan, lambda _: made, clock)
    )
    yield made
    for one in made.alive():
        os.kill(one.pid, signal.SIGKILL)
        one.process.wait()
