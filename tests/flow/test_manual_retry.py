"""Retries while processors stop, start, wait and are done, and of routes."""

from __future__ import annotations

import json
import threading

import pytest

from buildflow_nb.core.errors import BuildFlowError, TemporaryError, UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.flow.client import AnswerError
from buildflow_nb.requests import Request, UploadFile
from buildflow_nb.runtime.sinks import push
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.failing import Order, numbers, picky_flow, until


def test_retrying_while_stopped_says_how_to_mend_it(app):
    sink = FakeSink()
    refused = picky_flow(app, sink)

    @app.consumer(source=FakeSource([], endless=True))
    def other(x: int) -> int:
        return x

    (failed,) = app.failures("picky")
    app.handle.stop("picky")
    with pytest.raises(UsageError, match=r"^consumer 'picky' is stopped; %buildflow start picky"):
        failed.retry()
    assert failed.tries == 1
    app.handle.start("picky")
    refused.clear()
    until(lambda: app.snapshot().processor("picky").state is State.RUNNING)
    assert failed.retry() == [20]
    with pytest.raises(UsageError, match="is retried already"):
        failed.retry()


def test_a_run_that_was_stopped_and_started_again_takes_the_old_failures(app):
    sink = FakeSink()
    refused = picky_flow(app, sink)
    (failed,) = app.failures("picky")
    app.handle.stop()
    with pytest.raises(UsageError, match=r"is stopped, and so is the run; %buildflow run"):
        failed.retry()
    refused.clear()
    app.run(block=False)
    until(lambda: app.snapshot().processor("picky").state is State.RUNNING)
    assert failed.retry() == [20]


def test_a_processor_that_waits_or_is_gone_says_so(app):
    missing = [TemporaryError("no queue")] * 1_000
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    app.remove("picky")
    with pytest.raises(UsageError, match="'picky' is not part of the run any more; declare it"):
        failed.retry()
    assert missing


def test_a_consumer_that_is_done_opens_its_sink_for_a_retry(app):
    sink, refused = FakeSink(), {2}

    @app.consumer(source=FakeSource([[1, 2]]), sink=sink, retries=0)
    def picky(x: int) -> int:
        if x in refused:
            raise ValueError(x)
        return x

    app.run()
    assert app.handle.status() is State.DONE
    (failed,) = app.failures("picky")
    with pytest.raises(ValueError, match="2"):
        failed.retry()
    refused.clear()
    assert failed.retry() == [2]
    assert sink.tape.pushed == [1, 2]
    assert sink.tape.opened == sink.tape.closed == 3
    assert numbers(app, "picky") == (2, 2, 0, 0, 0)


def test_a_sink_that_takes_nothing_is_waited_for_in_vain_and_the_failure_stays(app, monkeypatch):
    monkeypatch.setattr(push, "RETRY_S", 0.05)
    sink = FakeSink()
    refused = picky_flow(app, sink, batches=([2],))
    refused.clear()
    sink.fails = [TemporaryError("down")] * 3
    (failed,) = app.failures("picky")
    with pytest.raises(TimeoutError, match=r"^the sink did not take it within 0\.05 s; it is"):
        failed.retry()
    assert app.failures("picky") == [failed]
    until(lambda: sink.tape.pushed == [20])  # at least once: it was queued
    assert failed.retry() == [20]
    assert sink.tape.pushed == [20, 20]


def test_a_stop_without_a_drain_ends_a_retry(app):
    sink = FakeSink()
    refused = picky_flow(app, sink, batches=([2],))
    refused.clear()
    sink.fails = [TemporaryError("down")] * 1_000
    (failed,) = app.failures("picky")
    found: list[object] = []

    def retry() -> None:
        try:
            failed.retry()
        except Exception as error:  # noqa: BLE001
            found.append(error)

    thread = threading.Thread(target=retry)
    thread.start()
    until(lambda: app.snapshot().processor("picky").state is State.WAITING)
    app.handle.stop(drain=False)
    thread.join(PATIENCE_S)
    assert len(found) == 1
    assert isinstance(found[0], Exception)
    assert app.failures("picky") == [failed]
    failed.discard()  # which is refused while it is being retried
    assert app.failures("picky") == []


def test_starting_again_what_was_stopped(app):
    picky_flow(app, FakeSink())

    @app.consumer(source=FakeSource([], endless=True))
    def other(x: int) -> int:
        return x

    app.handle.stop("picky")
    app.start("picky")
    until(lambda: app.snapshot().processor("picky").state is State.RUNNING)
    with pytest.raises(UsageError, match="no processor 'pickt'; did you mean 'picky'"):
        app.start("pickt")
    app.handle.stop()
    with pytest.raises(UsageError, match=r"^flow 'test' does not run; app\.run\(\) starts it$"):
        app.start()
    with pytest.raises(UsageError, match=r"has ended; app\.run\(\) starts it again$"):
        app.handle.start()


def test_a_drain_waits_for_a_retry_and_two_at_once_are_refused(app):
    inside, go = threading.Event(), threading.Event()
    fails = [True]
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink, retries=0)
    def slow(x: int) -> int:
        if fails:
            msg = "first"
            raise ValueError(msg)
        inside.set()
        assert go.wait(PATIENCE_S)
        return x

    app.run(block=False)
    until(lambda: app.failures("slow"))
    fails.clear()
    (failed,) = app.failures("slow")
    found: list[object] = []
    one = threading.Thread(target=lambda: found.append(failed.retry()))
    one.start()
    assert inside.wait(PATIENCE_S)
    with pytest.raises(UsageError, match="is being retried at this moment"):
        failed.retry()
    two = threading.Thread(target=app.handle.stop)
    two.start()
    until(lambda: app.snapshot().processor("slow").state is State.DRAINING)
    go.set()
    one.join(PATIENCE_S)
    two.join(PATIENCE_S)
    assert found == [[1]]
    assert sink.tape.pushed == [1]
    assert app.snapshot().processor("slow").state is State.STOPPED


def test_a_collector_retries_into_its_sink_and_an_endpoint_runs_again(app):
    sink, fails = FakeSink(), [True]

    @app.collector(route="/in", sink=sink)
    def take(order: Order, tag: str = "x") -> int:
        if fails:
            msg = "not yet"
            raise LookupError(msg)
        return order.qty

    @app.endpoint(route="/ask", method="POST")
    async def ask(body: dict) -> dict:
        if fails:
            msg = "nor this"
            raise LookupError(msg)
        return {"got": body}

    import urllib.error
    import urllib.request

    handle = app.run(block=False, serve_port=0)

    def post(path: str, value: object) -> None:
        request = urllib.request.Request(  # noqa: S310
            handle.address + path,
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=PATIENCE_S)  # noqa: S310
        caught.value.close()

    post("/in?tag=red", {"id": 1, "qty": 7})
    post("/ask", {"body": 5, "more": 6})
    (taken,), (asked,) = app.failures("take"), app.failures("ask")
    assert taken.input == {"order": Order(1, 7), "tag": "red"}
    with pytest.raises(LookupError, match="not yet"):
        taken.retry()
    assert taken.tries == 2
    fails.clear()
    assert taken.retry() == [7]
    assert sink.tape.pushed == [7]
    assert asked.retry() == [{"got": {"body": 5, "more": 6}}]
    assert app.failures() == []
    found = app.snapshot()
    assert [(p.elements_in, p.elements_out, p.failed) for p in found.processors] == [(1, 1, 0)] * 2


def test_a_call_that_cannot_be_tried_again_keeps_its_own_error(app):
    @dependency(Scope.PROCESS)
    class Path:
        def __init__(self, request: Request):
            self.path = request.url.path

    @app.endpoint("/ask", method="POST")
    async def ask(body: dict, path: Path) -> str:
        raise LookupError(path.path)

    @app.endpoint("/upload", method="POST")
    async def upload(file: UploadFile) -> int:
        raise LookupError(file.filename)

    app.run(block=False, serve_port=0)
    client = app.client()
    for name, given, said, why in (
        ("ask", {"a": 1}, "LookupError: /ask", "takes the request itself"),
        ("upload", b"1", "LookupError: ", "a file is given as bytes"),
    ):
        with pytest.raises(AnswerError):
            getattr(client, name)(given)
        (failed,) = app.failures(name)
        before = failed.error, failed.traceback, failed.exception
        assert said in failed.error
        for _ in range(2):
            with pytest.raises(BuildFlowError, match=why):
                failed.retry()
        assert (failed.error, failed.traceback, failed.exception) == before
        assert failed.tries == 1
        with pytest.raises(LookupError):
            failed.reraise()
