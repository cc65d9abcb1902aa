"""A bounded source that was read to its end: said before it is read again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from buildflow_nb.core.status.snapshot import State
from tests.fakes import PATIENCE_S, FakeSink, FakeSource

SAID = "was read to its end before, and is read again from its start"


@dataclass(eq=False)
class Resumable(FakeSource):
    resume: bool = False


def declare(app, source):
    @app.consumer(source=source, sink=FakeSink())
    def price(x: int) -> int:
        return x


def said(app) -> list[str]:
    return [line.text for line in app.logs("price") if SAID in line.text]


def done(app):
    assert app.handle.wait(PATIENCE_S) is State.DONE


def test_by_a_new_run(app):
    declare(app, FakeSource([[1]]))
    for runs in range(3):
        done_before = app.run(block=False)
        done(app)
        assert len(said(app)) == min(runs, 1)
        assert done_before.notes() == ([f"price: FakeSource fake source {SAID}"] if runs else [])


def test_by_a_cell_that_is_run_again_while_others_run(app):
    source = FakeSource([[1]])

    @app.consumer(source=FakeSource([], endless=True), sink=FakeSink())
    def other(x: int) -> int:
        return x

    declare(app, source)
    events = []
    handle = app.run(block=False, event_subscriber=events.append)
    done_at = lambda: handle.snapshot().processor("price").state  # noqa: E731
    while done_at() is not State.DONE:
        handle.wait_a_moment(0.01)
    assert said(app) == []
    declare(app, source)
    assert len(said(app)) == 1
    assert any(SAID in getattr(event, "reason", "") for event in events)
    assert len(handle.notes()) == 1
    assert handle.notes() == []
    while done_at() is not State.DONE:
        handle.wait_a_moment(0.01)
    handle.start("price")
    assert len(said(app)) == 2


def test_not_where_another_source_is_read_or_it_was_not_read_to_its_end(app):
    declare(app, FakeSource([[1]]))
    app.run(block=False)
    done(app)
    declare(app, FakeSource([[1]]))
    app.run(block=False)
    done(app)
    assert said(app) == []


@pytest.mark.parametrize("resume", [False, True])
def test_what_can_resume_says_how_and_what_does_needs_no_word(app, resume):
    declare(app, Resumable([[1]], resume=resume))
    for _ in range(2):
        app.run(block=False)
        done(app)
    texts = said(app)
    assert texts == (
        []
        if resume
        else [f"Resumable fake source {SAID}; with resume=True it goes on where it ended"]
    )
