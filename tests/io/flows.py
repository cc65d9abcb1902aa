"""A flow that runs in a stack of the test's choosing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.concurrency import backoff
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.plan import RunPlan

__all__ = ("running", "soon_again", "until")

PATIENCE_S = 20.0


def until(so: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + patience_s
    while not so():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


@contextmanager
def running(env: Env, function: Callable[..., object], **words: object) -> Iterator[RunHandle]:
    """A consumer that runs in this stack; on leaving it is stopped at once."""
    flow = Flow()
    flow.consumer(**words)(function)
    handle = RunHandle(RunPlan("test", env), flow.registry)
    handle.begin()
    try:
        yield handle
    finally:
        handle.stop(drain=False)


@contextmanager
def soon_again() -> Iterator[None]:
    """However long a service was away, it is tried again soon after: no test waits for a pause."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "MAX_BACKOFF_S", 0.2)
        yield
