"""A stop that takes a while says what it waits for."""

import threading
from types import SimpleNamespace

import pytest

from buildflow_nb.cockpit.panel import actions
from buildflow_nb.cockpit.panel.actions import ended
from buildflow_nb.core.errors import UsageError
from tests.notebook.shots import PRICE, WORST, shot

VALUES = {"ids": [], "no_drain": False, "timeout": 30.0}


class SlowRun:
    """A run that stops when the test says so."""

    flow_id = "shop"

    def __init__(self):
        self.may_end = threading.Event()

    def stop(self, ids, *, drain, timeout):
        assert self.may_end.wait(10)

    def snapshot(self):
        return shot(PRICE, WORST)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([], "for price (200 in flight), worst (0 in flight; no table yet); --timeout"),
        (["worst"], "for worst (0 in flight; no table yet); --timeout"),
    ],
)
def test_a_slow_stop_says_what_it_waits_for_and_how_to_cut_it_short(monkeypatch, ids, said):
    monkeypatch.setattr(actions, "SILENT_S", 0.0)
    run, told = SlowRun(), []

    def tell(text):
        told.append(text)
        run.may_end.set()

    ended(run, VALUES | {"ids": ids}, tell)
    assert len(told) == 1
    assert said in told[0]
    assert "--no-drain" in told[0]


def test_a_quick_stop_says_nothing_and_an_error_is_raised_here():
    assert ended(SimpleNamespace(flow_id="shop", stop=lambda *_, **__: None), VALUES, pytest.fail)

    def fail(*_, **__):
        msg = "no processor 'prise'"
        raise UsageError(msg)

    with pytest.raises(UsageError, match="prise"):
        ended(SimpleNamespace(flow_id="shop", stop=fail), VALUES, pytest.fail)
