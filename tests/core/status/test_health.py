"""How a flow is in one sentence, whatever is wrong with it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.findings import Health
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.health import health_of
from buildflow_nb.core.status.history import History, Mark, Row, Rows
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.core.status.thresholds import Thresholds

NOW = 1_700_000_600.0  # 22:23:20 UTC
PRICE = ProcessorSnapshot(
    "price",
    "consumer",
    State.RUNNING,
    elements_in=12_500,
    elements_out=12_480,
    in_flight=20,
    in_per_s=120.0,
    backlog=100,
    p99_s=0.05,
    started_at=NOW - 3_000,
    quiet_s=0.0,
)
WORST = replace(PRICE, processor_id="worst", kind="endpoint", backlog=None, in_per_s=0.5)


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def flow(*processors: ProcessorSnapshot, state: State = State.RUNNING) -> FlowSnapshot:
    return FlowSnapshot("shop", "local", state, NOW, NOW - 3_000, None, processors, since=NOW - 9)


def failing(failed: int, kept: int = 1, **words: object) -> ProcessorSnapshot:
    return replace(PRICE, failed=failed, failures_kept=kept, **words)


def history(*ago: int, marks: tuple[Mark, ...] = ()) -> History:
    """Failures so many seconds ago."""
    rows = Rows()
    for second in range(3_000, 0, -1):
        rows.add(Row(int(NOW) - second, taken=5, failed=int(second in ago)))
    return History("price", rows, Rows(), marks)


def said(*processors: ProcessorSnapshot, limits: Thresholds | None = None, **words) -> str:
    return health_of(flow(*processors), thresholds=limits, **words).line


def test_a_flow_is_fine_with_its_proof():
    assert said(PRICE, WORST) == "✓ fine (2 processors, 120/s, nothing failed, 100 waiting)"


def test_what_fails_is_told_with_share_time_swap_and_the_most_common_error():
    marks = (Mark(NOW - 500, "swapped", "v3"), Mark(NOW - 121, "swapped", "v4"))
    line = health_of(
        flow(failing(409), WORST),
        lambda _: history(*range(1, 120, 2), marks=marks),
        errors=lambda _: ["KeyError: 'usd'", "ValueError: 7", "KeyError: 'usd'"],
    )
    assert line.line == (
        "✕ price fails 3.3 % since 22:21:21: mostly KeyError: 'usd' (409 of 12,480, since v4)"
    )
    assert (line.processor_id, line.since) == ("price", NOW - 119)


def test_a_row_of_failures_begins_after_five_minutes_without_one():
    line = health_of(flow(failing(9)), lambda _: history(1_000, 600, 290, 10))
    assert line.since == NOW - 290


def test_failures_that_are_over_are_told_still():
    line = health_of(flow(failing(3)), lambda _: history(2_000, 1_900))
    assert line.line == (
        "▲ price failed less than 0.1 % since 21:50:00 (3 of 12,480, the last at 21:51:40)"
    )


@pytest.mark.parametrize(
    ("failed", "limits", "health"),
    [
        (1, None, Health.WARNING),
        (124, None, Health.WARNING),
        (125, None, Health.ERROR),
        (125, Thresholds(failed_share=0.5), Health.WARNING),
        (1, Thresholds(failed_share=0), Health.ERROR),
    ],
)
def test_how_bad_failures_are_is_their_share(failed, limits, health):
    assert health_of(flow(failing(failed)), thresholds=limits).health is health


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("failed", [1, 12_480])
@pytest.mark.parametrize("limits", [None, Thresholds(failed_share=1.0)])
def test_nothing_is_fine_over_a_failure(state, failed, limits):
    for run in State:
        line = health_of(flow(failing(failed, state=state), WORST, state=run), thresholds=limits)
        assert line.health is not Health.OK
        assert "fine" not in line.said


def test_what_is_kept_no_more_is_counted_and_nothing_is_called_fine():
    line = health_of(flow(failing(9, kept=0)))
    said = "9 failed before, and are kept no more"
    assert line.line == f"✓ runs (1 processor, 120/s, {said}, 100 waiting)"


def test_the_worst_comes_first_and_the_others_are_counted():
    gone = replace(WORST, state=State.FAILED, reason="no table 'x'", ended_at=NOW - 60)
    waits = replace(PRICE, processor_id="load", state=State.WAITING, reason="no bucket; apply")
    some = failing(1)
    many = failing(9_999, processor_id="many")
    assert said(some, waits, many, gone) == (
        "✕ worst has failed since 22:22:20: no table 'x'; 3 more are not well"
    )
    assert said(some, waits, many).startswith("✕ many fails 80 %")
    assert said(some, waits) == "▲ load waits: no bucket; apply; 1 more is not well"


@pytest.mark.parametrize(
    ("limits", "shot", "line"),
    [
        (Thresholds(backlog=99), PRICE, "▲ price is behind: 100 wait, more than 99"),
        (Thresholds(backlog=100), PRICE, None),
        (Thresholds(p99_s=0.01), PRICE, "▲ price is behind: p99 0.05 s, more than 0.01 s"),
        (Thresholds(p99_s=0.05), PRICE, None),
        (
            Thresholds(silence_s=60),
            replace(PRICE, quiet_s=61.0),
            "▲ price has had no element for 61 s",
        ),
        (Thresholds(silence_s=60), replace(PRICE, quiet_s=59.0), None),
        (Thresholds(silence_s=600), replace(PRICE, quiet_s=None), "for 50 min"),
        (Thresholds(silence_s=600), replace(PRICE, quiet_s=None, state=State.DONE), None),
        (Thresholds(backlog=1), replace(PRICE, state=State.STOPPED), None),
    ],
)
def test_thresholds_warn(limits, shot, line):
    found = health_of(flow(shot), thresholds=limits)
    if line is None:
        assert found.health is Health.OK
    else:
        assert found.health is Health.WARNING
        assert line in found.line


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State.PENDING, "✓ not started (1 processor)"),
        (State.DRAINING, "✓ stopping (1 processor"),
        (State.STARTING, "✓ starting (1 processor"),
        (State.STOPPED, "✓ stopped since 22:23:11 (12,480 done, nothing failed)"),
        (State.DONE, "✓ done since 22:23:11 (12,480 done, nothing failed)"),
    ],
)
def test_a_flow_that_is_not_at_work_says_so(state, what):
    assert health_of(flow(PRICE, state=state)).line.startswith(what)


def test_a_cause_is_one_line_of_bounded_length():
    line = health_of(flow(failing(500)), errors=lambda _: ["KeyError:\n" + 900 * "x"])
    assert "\n" not in line.said
    assert len(line.cause) == 120


def test_the_history_of_the_worst_alone_is_asked_for():
    asked: list[str] = []

    def look(name: str) -> None:
        asked.append(name)

    many = [replace(failing(n), processor_id=f"p{n}") for n in range(1, 500)]
    health_of(flow(*many), look)
    assert asked == ["p499"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"failed_share": 1.5}, "failed_share is from 0 to 1, got 1.5"),
        ({"failed_share": None}, "failed_share must be a number of at least 0, got None"),
        ({"backlog": -1}, "backlog must be a number of at least 0, got -1"),
        ({"p99_s": "2s"}, "p99_s must be a number of at least 0, got '2s'"),
        ({"silence_s": float("nan")}, "silence_s must be a number of at least 0, got nan"),
        ({"backlog": True}, "backlog must be a number of at least 0, got True"),
    ],
)
def test_thresholds_that_are_none_are_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        Thresholds(**words)


def test_options_take_thresholds_and_nothing_else():
    assert FlowOptions(health=Thresholds(backlog=5)).health == Thresholds(backlog=5)
    with pytest.raises(ConfigError, match=r"health must be Thresholds\(\.\.\.\), got 0\.5"):
        FlowOptions(health=0.5)
