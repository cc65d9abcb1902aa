"""Operations of a flow from a script, and awaited inside a running event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from buildflow_nb.core.errors import InfraError, RejectedError, UsageError
from buildflow_nb.core.status.operations import Operation, Outcome, Result, Summary
from buildflow_nb.flow import Flow, provisioning
from buildflow_nb.infra.stop import Stop
from tests.fakes import PATIENCE_S


class FakeFlowStack:
    """Does what it is told, and says on which thread it was asked."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.go = threading.Event()
        self.go.set()
        self.stop: Stop | None = None
        self.result = Result.DONE

    def operate(self, operation: Operation, declared: object, listener: Any, stop: Any) -> Outcome:
        self.threads.append(threading.current_thread())
        self.stop = stop
        assert self.go.wait(PATIENCE_S), "nobody let it go on"
        return Outcome(Summary(operation, self.result, error="no such queue"))

    def change(
        self, operation: Operation, declared: object, consent: Any, listener: Any, stop: Any
    ) -> Outcome:
        plan = self.operate(Operation.PREVIEW, declared, listener, stop)
        if consent.confirm is not None and not consent.confirm(plan):
            msg = "apply rejected"
            raise RejectedError(msg)
        return Outcome(Summary(operation, Result.DONE))


@pytest.fixture
def place(app: Flow) -> FakeFlowStack:
    found = FakeFlowStack()
    app.place = found  # type: ignore[assignment]
    return found


VERBS = {
    "preview": Operation.PREVIEW,
    "refresh": Operation.REFRESH,
    "apply": Operation.APPLY,
    "destroy": Operation.DESTROY,
}


async def turns_until(so: Any) -> None:
    for _ in iter(so, True):
        await asyncio.sleep(0)


def begin(app: Flow, verb: str) -> Outcome:
    words = {"yes": True} if verb in ("apply", "destroy") else {}
    outcome: Outcome = getattr(app, verb)(**words)
    return outcome


@pytest.mark.parametrize("verb", VERBS)
def test_in_a_script_it_is_done_when_the_call_returns(app, place, verb):
    outcome = begin(app, verb)
    assert outcome.summary.operation is VERBS[verb]
    assert place.threads == [threading.current_thread()]


@pytest.mark.parametrize("verb", VERBS)
def test_beside_a_loop_it_is_awaited_and_the_loop_goes_on(app, place, verb):
    place.go.clear()

    async def go() -> Outcome:
        pending = begin(app, verb)
        asyncio.get_running_loop().call_soon(place.go.set)  # a loop that is blocked never would
        return await pending

    assert asyncio.run(go()).summary.operation is VERBS[verb]
    assert place.threads != [threading.current_thread()]


def test_it_begins_without_being_awaited(app, place):
    async def go() -> None:
        app.preview()

    asyncio.run(go())
    assert len(place.threads) == 1


def test_an_outcome_that_is_there_can_be_awaited_too(app, place):
    outcome = app.preview()

    async def go() -> Outcome:
        return await outcome

    assert asyncio.run(go()) is outcome


def test_a_failure_is_raised_where_it_is_awaited(app, place):
    place.result = Result.FAILED

    async def go() -> None:
        pending = app.preview()
        with pytest.raises(InfraError, match="preview: no such queue"):
            await pending

    asyncio.run(go())
    with pytest.raises(InfraError, match="preview: no such queue"):
        app.preview()


def test_a_no_is_raised_where_it_is_awaited(app, place):
    async def go() -> None:
        with pytest.raises(RejectedError, match="apply rejected"):
            await app.apply(confirm=lambda plan: False)

    asyncio.run(go())


def test_who_looks_before_it_is_done_is_told_to_await(app, place):
    place.go.clear()

    async def go() -> None:
        pending = app.preview()
        with pytest.raises(UsageError, match=r"under way; await it, as in: await app\.preview\(\)"):
            _ = pending.summary
        assert repr(pending) == "PendingOutcome: await it"
        place.go.set()
        outcome = await pending
        assert pending.summary == outcome.summary
        assert pending.nothing_to_do

    asyncio.run(go())


def test_a_wait_that_is_cancelled_asks_the_work_to_stop(app, place):
    place.go.clear()

    async def go() -> None:
        waiting = asyncio.ensure_future(wait())
        await turns_until(lambda: place.stop is not None)
        asyncio.get_running_loop().call_later(0, waiting.cancel)
        await turns_until(lambda: place.stop.asked)
        place.go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def wait() -> Outcome:
        return await app.preview()

    asyncio.run(asyncio.wait_for(go(), PATIENCE_S))


def test_work_that_does_not_stop_is_asked_to_end_at_once(app, place, monkeypatch):
    monkeypatch.setattr(provisioning, "STEP_S", 0.01)
    place.go.clear()

    async def wait() -> Outcome:
        return await app.preview()

    async def go() -> None:
        waiting = asyncio.ensure_future(wait())
        await turns_until(lambda: place.stop is not None)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert place.stop._times == 2
        place.go.set()

    asyncio.run(asyncio.wait_for(go(), PATIENCE_S))


def test_in_a_kernel_a_cell_waits_as_a_terminal_does(app, place, monkeypatch):
    monkeypatch.setattr(provisioning, "kernel", object)

    async def go() -> None:
        assert app.preview().nothing_to_do
        assert (await app.preview()).nothing_to_do

    asyncio.run(go())
    assert set(place.threads) == {threading.current_thread()}
