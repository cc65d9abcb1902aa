"""Errors as they are kept with their failures: raised again, and with nothing of ours alive."""

from __future__ import annotations

import gc
import sys
import weakref
from dataclasses import dataclass
from typing import Annotated

import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.failures import EXCEPTIONS
from buildflow_nb.runtime.observability.tracebacks import MOST_LINE, MOST_TRACEBACK
from tests.fakes import FakeSink, FakeSource
from tests.flow.failing import lambda_named, picky_flow, until


def test_an_error_of_a_sink_keeps_nothing_of_what_was_pushed(app):
    things = [Thing() for _ in range(300)]
    watched = [weakref.ref(thing) for thing in things]
    worst = things[17]
    sink = FakeSink(refuse=lambda item: item is worst)

    @app.consumer(source=FakeSource([things], receipts=False), sink=sink, retries=0)
    def same(x: Thing) -> Thing:
        return x

    app.consumer(source=FakeSource([], endless=True))(lambda_named("other"))
    app.run(block=False)
    until(lambda: app.failures("same"))
    (failed,) = app.failures("same")
    assert "ValueError: refused" in failed.traceback
    assert "in push" in failed.traceback
    until(lambda: app.snapshot().processor("same").state is State.DONE)
    things.clear()
    sink.tape.pushed.clear()
    sink.tape.pushes.clear()
    sink.tape.events.clear()
    gc.collect()
    assert sum(ref() is not None for ref in watched) <= 1 + 20 + 20
    with pytest.raises(ValueError, match="refused"):
        failed.reraise()


def test_an_exit_of_the_users_code_ends_neither_loop_nor_kernel(app):
    @app.consumer(source=FakeSource([[1]], endless=True), retries=0)
    def leaves(x: int) -> int:
        sys.exit(3)

    app.run(block=False)
    until(lambda: app.failures("leaves"))
    (failed,) = app.failures("leaves")
    with pytest.raises(RuntimeError, match=r"^SystemExit: 3$"):
        failed.retry()
    with pytest.raises(RuntimeError, match=r"^SystemExit: 3$"):
        failed.reraise()
    with pytest.raises(RuntimeError, match=r"^SystemExit: 3$"):
        app.send("leaves", 1)
    assert app.handle.status() is State.RUNNING


class Thing:
    """An element that can be watched."""


def test_kept_errors_do_not_keep_their_haul(app):
    things = [Thing() for _ in range(5_000)]
    watched, wanted = [weakref.ref(thing) for thing in things], things[4_000]

    @app.consumer(source=FakeSource([[Thing()], things, [Thing()]], receipts=False), retries=0)
    def picky(x: Thing) -> None:
        if x is wanted:
            msg = "this one"
            raise ValueError(msg)

    app.consumer(source=FakeSource([], endless=True))(lambda_named("other"))
    app.run(block=False)
    until(lambda: app.failures("picky"))
    (failed,) = app.failures("picky")
    until(lambda: app.snapshot().processor("picky").state is State.DONE)
    things.clear()
    gc.collect()
    alive = [ref for ref in watched if ref() is not None]
    assert len(alive) <= 1 + 20 + 20  # itself, what peek shows, and what traces do
    assert failed.input is wanted
    frame = failed.exception.__traceback__.tb_frame
    assert frame.f_code.co_name == "picky"
    assert frame.f_locals["x"] is wanted


@pytest.mark.parametrize("form", ["sync", "async", "generator", "class"])
def test_kept_errors_hold_no_frame_of_ours_with_elements_in_it(app, form):
    app.consumer(source=FakeSource([list(range(50))], receipts=False), retries=0)(_forms()[form])
    app.run()
    (failed,) = app.failures()
    trace = failed.exception.__traceback__
    assert trace.tb_frame.f_globals["__name__"] == __name__
    frame, lists = trace.tb_frame.f_back, []
    while frame is not None:
        name = frame.f_globals["__name__"]
        if name.startswith("buildflow_nb.runtime.") and not name.endswith(
            (".worker_thread", ".loop")
        ):
            lists += [v for v in frame.f_locals.values() if isinstance(v, list) and len(v) > 1]
        frame = frame.f_back
    assert lists == []


def _forms():
    def fails(x: int) -> None:
        if x == 30:
            raise ValueError(x)

    async def fails_async(x: int) -> None:
        fails(x)

    def fails_many(x: int):
        yield x
        fails(x)

    class Fails:
        def process(self, x: int) -> None:
            fails(x)

    return {"sync": fails, "async": fails_async, "generator": fails_many, "class": Fails}


def test_only_the_newest_errors_are_kept(app):
    @app.consumer(source=FakeSource([list(range(30))]), retries=0)
    def never(x: int) -> int:
        raise ValueError(x)

    with pytest.raises(
        RunError, match="nothing worked: all 30 elements of consumer 'never' failed"
    ):
        app.run()
    found = app.failures("never")
    assert [f.exception is not None for f in found] == [False] * 10 + [True] * EXCEPTIONS
    assert "ValueError: 0" in found[0].traceback
    with pytest.raises(UsageError, match=r"exception of failure 1 of 'never' is not kept"):
        found[0].reraise()
    with pytest.raises(ValueError, match=r"^0$"):
        found[0].retry()
    assert found[0].exception is not None  # the newest again
    assert sum(f.exception is not None for f in found) == EXCEPTIONS


def test_reraise_lands_in_the_users_frame_with_its_locals(app):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    for _ in range(2):  # it does not grow
        with pytest.raises(ValueError, match="no 2") as caught:
            failed.reraise()
        frame = caught.traceback[-1].frame
        assert frame.code.name == "picky"
        assert frame.f_locals["place"] == "local of 2"
        assert len(caught.traceback) == 3  # the test, reraise, picky


HUGE = 3_000_000


@pytest.mark.parametrize("told", ["text", "argument", "cause", "note"])
def test_of_an_error_with_a_huge_text_its_beginning_and_end_are_kept(app, told):
    def fail(text: str) -> None:
        if told == "cause":
            raise ValueError(told) from KeyError(text)
        error = {"text": ValueError(text), "argument": Quiet(text)}.get(told, ValueError(told))
        if told == "note":
            error.add_note(text)
        raise error

    @app.consumer(source=FakeSource([[1, 2, 3]], endless=True), retries=0)
    def quotes(x: int) -> int:
        fail(str(x) * HUGE)
        return x

    app.run(block=False)
    until(lambda: len(app.failures("quotes")) == 3)
    found = app.failures("quotes")
    assert max(len(failed.error) for failed in found) <= MOST_LINE
    assert max(len(failed.traceback) for failed in found) <= MOST_TRACEBACK + 100
    assert max(len(repr(failed.as_data())) for failed in found) < 2 * MOST_TRACEBACK
    if told == "text":
        assert found[0].error.startswith("ValueError: 111")
        assert found[0].error.endswith("1…")
        assert found[0].traceback.startswith("Traceback (")
        assert "letters are left out" in found[0].traceback
    assert [failed.exception for failed in found] == [None] * 3
    with pytest.raises((ValueError, Quiet)):
        found[0].retry()
    assert found[0].tries == 2
    assert found[0].exception is None
    with pytest.raises(UsageError, match="is not kept"):
        found[0].reraise()


class Quiet(Exception):  # noqa: N818
    """One that holds more than it says."""

    def __str__(self) -> str:
        return "quiet"


def test_an_error_of_many_letters_is_kept_whole(app):
    @app.consumer(source=FakeSource([[1]], endless=True), retries=0)
    def quotes(x: int) -> int:
        raise ValueError("z" * 100_000)

    app.run(block=False)
    until(lambda: app.failures("quotes"))
    assert len(str(app.failures("quotes")[0].exception)) == 100_000


@dataclass
class Login:
    """An element with a secret."""

    password: Annotated[str, Secret]


def test_where_a_text_is_cut_no_half_of_a_secret_is_left(app):
    word = "Sesame-open-yourself-" * 5

    @app.consumer(source=FakeSource([[Login(word)]], endless=True), retries=0)
    def quotes(login: Login) -> int:
        raise ValueError("z" * (MOST_LINE - 50) + login.password + "z" * 300_000)

    app.run(block=False)
    until(lambda: app.failures("quotes"))
    (failed,) = app.failures("quotes")
    assert "Sesame" not in failed.error + failed.traceback
    assert "****" in failed.error
