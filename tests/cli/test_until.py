"""What bounds a run, without one."""

from __future__ import annotations

import pytest

from buildflow_nb.cli.until import Bounds
from buildflow_nb.core.errors import RunError, UsageError


class FakeHandle:
    def __init__(self, raises=None):
        self.raises = raises
        self.asked = None
        self.stops = 0

    def wait_until(self, **asked):
        self.asked = asked
        if self.raises:
            raise self.raises

    def stop(self, *, drain, timeout):
        assert drain
        self.stops += 1


def bounds(**values):
    return Bounds.of({"until": None, "duration": None, "count": None, "timeout": None, **values})


def test_bounds_are_those_that_are_asked_for():
    handle = FakeHandle()
    asked_for = bounds(until="drained", count=3, timeout=5.0)
    asked_for._wait(handle)
    assert handle.asked == {"drained": True, "duration": None, "count": 3, "timeout": 5.0}
    assert handle.stops == 1
    asked_for.raise_missed()


def test_a_missed_bound_is_told_and_the_run_is_drained():
    handle, asked_for = FakeHandle(TimeoutError()), bounds(until="drained", timeout=5.0)
    asked_for._wait(handle)
    assert handle.stops == 1
    with pytest.raises(TimeoutError, match="did not get there within 5 s, and was stopped"):
        asked_for.raise_missed()


def test_a_failed_processor_ends_a_bounded_run():
    handle, asked_for = FakeHandle(RunError("x")), bounds(duration=1.0)
    asked_for._wait(handle)
    assert handle.stops == 1
    asked_for.raise_missed()


def test_no_bounds_mean_that_nothing_is_waited_for():
    handle = FakeHandle()
    bounds().watch(handle)
    assert handle.asked is None
    with pytest.raises(UsageError, match="add --until drained"):
        bounds(timeout=3.0)
