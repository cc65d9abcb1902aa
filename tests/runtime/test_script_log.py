"""What a script says of its run, by a clock of the test."""

from __future__ import annotations

import logging

import pytest

from buildflow_nb.core.events import ElementFailed, StateChanged
from buildflow_nb.core.status.snapshot import Failure, State
from buildflow_nb.runtime.script_log import ScriptLog, _shown


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "buildflow_nb.run")
    return lambda: [(r.levelname, r.getMessage()) for r in caplog.records]


def failed(name: str, number: int) -> ElementFailed:
    error = f"ValueError: {number}"
    return ElementFailed(Failure(number, 0.0, name, number, error, "", 1, None, "dropped"))


@pytest.mark.parametrize("each_s", [0.0, 0.001, 0.4])
def test_a_flood_has_ten_lines_and_then_one_a_second(said, each_s):
    now = [0.0]
    log = ScriptLog(clock=lambda: now[0])
    for number in range(5_000):
        now[0] = number * each_s
        log(failed("work", number))
    texts = [text for _, text in said()]
    assert texts[9] == "work: an element failed: ValueError: 9 (dropped)"
    counted = [text for text in texts[10:] if "more elements failed" in text]
    assert counted == texts[10:]
    assert len(counted) <= 5_000 * each_s
    assert len(counted) >= 5_000 * each_s / 1.5 - 10


def test_processors_are_counted_apart(said):
    log = ScriptLog(clock=lambda: 0.0)
    for number in range(30):
        log(failed("one", number))
        log(failed("two", number))
    assert len([text for _, text in said() if text.startswith("one: ")]) == 10
    assert len([text for _, text in said() if text.startswith("two: ")]) == 10


def test_states_are_told_once_by_their_weight(said):
    log = ScriptLog()
    for state, reason in (
        (State.STARTING, ""),
        (State.RUNNING, ""),
        (State.WAITING, "away\x1b[2J"),
        (State.WAITING, "away\x1b[2J"),
        (State.RUNNING, ""),
        (State.FAILED, "no table"),
    ):
        log(StateChanged(0.0, "work", state, reason))
    log(StateChanged(0.0, None, State.FAILED, ""))
    assert said() == [
        ("WARNING", "work is waiting: away\\x1b[2J"),
        ("INFO", "work is running"),
        ("ERROR", "work is failed: no table"),
    ]


def make_bare(monkeypatch):
    """Let nobody have set logging up, as in a script; pytest does, for each part of a test."""
    for name in ("", "buildflow_nb", "buildflow_nb.run"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])


@pytest.mark.parametrize("owner", ["", "buildflow_nb", "buildflow_nb.run"])
def test_each_line_is_written_once_whoever_sets_logging_up_meanwhile(monkeypatch, capfd, owner):
    make_bare(monkeypatch)
    log = ScriptLog()
    with _shown():
        log(failed("work", 1))
        logging.getLogger(owner).addHandler(logging.StreamHandler())
        log(failed("work", 2))
    said = capfd.readouterr().err.splitlines()
    assert said == [f"work: an element failed: ValueError: {n} (dropped)" for n in (1, 2)]


def test_a_logger_that_passes_nothing_on_is_still_heard(monkeypatch, capfd):
    make_bare(monkeypatch)
    monkeypatch.setattr(logging.getLogger("buildflow_nb.run"), "propagate", False)
    with _shown():
        logging.getLogger().addHandler(logging.StreamHandler())
        ScriptLog()(failed("work", 1))
    assert capfd.readouterr().err == "work: an element failed: ValueError: 1 (dropped)\n"
