"""The runtime server of a run, asked over real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest

from buildflow_nb import Flow, FlowOptions, Thresholds
from buildflow_nb.core.errors import ServeError, UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.plan import TOKEN_VARIABLE
from tests.fakes import PATIENCE_S, FakeSink, FakeSource


@pytest.fixture(autouse=True)
def _no_token(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def passed(x):
    return x


def start(app: Flow, **words: object):
    return app.run(
        block=False, serve_port=0, start_runtime_server=True, runtime_server_port=0, **words
    )


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, object]:
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    try:
        line.request(method, path, headers=headers)
        answer = line.getresponse()
        body = answer.read()
    finally:
        line.close()
    is_json = answer.headers["Content-Type"] == "application/json"
    return answer.status, json.loads(body) if is_json else body.decode()


def endless(app: Flow) -> FakeSink:
    sink = FakeSink()
    app.consumer(source=FakeSource([[1], [2]], endless=True), sink=sink)(passed)
    return sink


def test_it_says_how_the_run_is_and_what_is_declared(app):
    endless(app)
    address = start(app, run_id="monday").runtime_address
    assert ask(address, "/runtime/status") == (200, {"status": "RUNNING"})
    assert ask(address, "/infra/status") == (200, {"status": "RUNNING"})
    code, shot = ask(address, "/runtime/snapshot")
    assert code == 200
    assert (shot["flow_id"], shot["run_id"]) == ("test", "monday")
    assert [p["processor_id"] for p in shot["processors"]] == ["passed"]
    assert ask(address, "/flowstate") == (200, app.flowstate().to_dict())

    @app.endpoint("/new")
    def new() -> int:
        return 1

    assert ask(address, "/flowstate") == (200, app.flowstate().to_dict())


def test_it_says_in_a_sentence_how_the_run_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = Flow("shop", FlowOptions(health=Thresholds(failed_share=0.6)))

    @app.consumer(source=FakeSource([[1, 2]], endless=True), retries=0)
    def price(x: int) -> int:
        if x == 2:
            msg = "<usd>"
            raise KeyError(msg)
        return x

    run = start(app)
    run.wait_until(count=2, timeout=PATIENCE_S)
    try:
        code, found = ask(run.runtime_address, "/runtime/health")
        _, page = ask(run.runtime_address, "/")
    finally:
        run.stop(drain=False, timeout=1)
    assert code == 200
    assert (found["health"], found["processor_id"]) == ("warning", "price")
    assert found["said"] == "price fails 50 %: KeyError: '<usd>' (1 of 2)"
    assert "▲ price fails 50 %: KeyError: &#x27;&lt;usd&gt;&#x27; (1 of 2)" in page


def test_its_page_shows_what_there_is_and_escapes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow("<b>shop</b>")
    endless(flow)
    code, page = ask(start(flow).runtime_address, "/")
    flow.handle.stop()
    assert code == 200
    assert "&lt;b&gt;shop&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "consumer passed: running" in page


def test_drain_ends_the_run_with_all_that_was_pulled_in_the_sink(app):
    sink = endless(app)
    handle = start(app)
    handle.wait_until(count=2, timeout=PATIENCE_S)
    address = handle.runtime_address
    assert ask(address, "/runtime/drain", "POST") == (200, "Drain request sent.")
    assert handle.wait(PATIENCE_S) is State.STOPPED
    assert sink.tape.pushed == [1, 2]
    assert handle.runtime_address is None


def test_stop_ends_the_run(app):
    endless(app)
    handle = start(app)
    assert ask(handle.runtime_address, "/runtime/stop", "POST")[0] == 200
    assert handle.wait(PATIENCE_S) is State.STOPPED


def test_it_ends_with_a_run_that_ends_by_itself(app):
    app.consumer(source=FakeSource([[1]]), sink=FakeSink())(passed)
    handle = start(app)
    handle.wait(PATIENCE_S)
    assert handle.runtime_address is None


def test_strange_paths_and_methods_are_told_apart(app):
    endless(app)
    address = start(app).runtime_address
    assert ask(address, "/runtime") == (404, {"detail": "Not Found"})
    assert ask(address, "/runtime/drain") == (405, {"detail": "Method Not Allowed"})
    assert app.handle.running


def test_pages_of_other_sites_cannot_use_it(app):
    endless(app)
    address = start(app).runtime_address
    refused = ask(address, "/runtime/drain", "POST", Origin="https://example.com")
    assert refused == (403, {"detail": "pages of other sites may not call this server"})
    assert ask(address, "/flowstate", Host="example.com")[0] == 403
    assert app.handle.status() is State.RUNNING


def test_others_need_a_token(app, monkeypatch):
    endless(app)
    with pytest.raises(UsageError, match=r"on 0\.0\.0\.0 could be used by others.*set a token"):
        start(app, runtime_server_host="0.0.0.0")  # noqa: S104  (refused)
    assert app.handle is None
    monkeypatch.setenv(TOKEN_VARIABLE, "open sesame")
    address = start(app).runtime_address
    needed = (401, {"detail": "a bearer token is needed"})
    assert ask(address, "/runtime/status") == needed
    assert ask(address, "/runtime/drain", "POST", Authorization="Bearer guess") == needed
    good = {"Authorization": "Bearer open sesame"}
    assert ask(address, "/runtime/status", **good) == (200, {"status": "RUNNING"})


def test_a_token_is_never_shown(app):
    endless(app)
    handle = start(app, runtime_server_token="open sesame")  # noqa: S106  (of this test)
    assert "sesame" not in repr(vars(handle))
    page = ask(handle.runtime_address, "/", Authorization="Bearer open sesame")
    assert "sesame" not in str(page)


def test_a_port_that_is_taken_starts_nothing(app):
    sink = endless(app)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"port {port} of 127.0.0.1 is taken"):
            app.run(block=False, start_runtime_server=True, runtime_server_port=port)
    assert sink.tape.pushed == []


def test_a_port_must_be_one(app):
    endless(app)
    with pytest.raises(UsageError, match=r"runtime_server_port must be from 0 .* got 70000"):
        app.run(block=False, start_runtime_server=True, runtime_server_port=70_000)


def test_without_being_asked_for_there_is_none(app):
    endless(app)
    assert app.run(block=False, serve_port=0).runtime_address is None
