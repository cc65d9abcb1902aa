"""Code of the flow before the first element and after the last, on the real loop thread."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
import urllib.request

import pytest

from buildflow_nb.core.errors import DeclarationError, RunError, UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime import lifespan
from tests.fakes import FakeSink, FakeSource
from tests.flow.test_run import until
from tests.notebooks.exported import free_port


@pytest.fixture
def said():
    return []


def declare(app, said, source=None):
    sink = FakeSink()

    @app.consumer(source=source or FakeSource([[1, 2], [3]]), sink=sink)
    def same(x: int) -> int:
        said.append(x)
        return x

    return sink


def test_it_is_called_before_the_first_element_and_after_the_last(app, said):
    @app.on_startup
    def connect():
        said.append("connect")

    @app.on_startup
    async def warm():
        said.append("warm")

    @app.on_shutdown
    def leave():
        said.append("leave")

    @app.on_shutdown
    async def close():
        said.append("close")

    sink = declare(app, said)
    app.on_shutdown(lambda: said.append((sink.tape.pushed[:], sink.tape.closed)))
    handle = app.run()
    assert handle.status() is State.DONE
    assert said == ["connect", "warm", 1, 2, 3, "leave", "close", ([1, 2, 3], 1)]
    app.run()
    assert said.count("connect") == said.count("leave") == 2


def test_decorating_gives_the_function_itself(app):
    def connect():
        return 3

    assert app.on_startup(connect) is connect
    assert app.on_shutdown(connect) is connect
    assert app.exception_handler(404)(test_it_is_called_before_the_first_element_and_after_the_last)


def test_sync_code_has_a_thread_and_async_code_the_loop(app, said):
    @app.on_startup
    def connect():
        said.append(threading.current_thread().name)
        assert threading.current_thread().daemon

    @app.on_startup
    async def warm():
        said.append(threading.current_thread().name)
        await asyncio.sleep(0)

    declare(app, [])
    app.run()
    assert said == ["on_startup connect", "buildflow-loop"]


def test_one_of_the_same_name_takes_the_others_place(app, said):
    for number in range(2):

        def connect(number=number):
            said.append(number)

        app.on_startup(connect)
    declare(app, [])
    app.run()
    assert said == [1]


def test_requests_are_served_between_them(app, said):
    @app.on_startup
    def connect():
        said.append("connect")

    @app.endpoint("/hello")
    def hello() -> str:
        said.append("hello")
        return "hello"

    @app.on_shutdown
    def leave():
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"{address}/hello", timeout=5)  # noqa: S310  (our own)
        said.append("leave")

    handle = app.run(block=False, serve_port=0)
    address = handle.address
    urllib.request.urlopen(f"{address}/hello", timeout=5).close()  # noqa: S310  (our own)
    handle.stop()
    assert said == ["connect", "hello", "leave"]
    handle.stop()
    assert said == ["connect", "hello", "leave"]


def test_a_run_that_does_not_block_waits_for_it_too_and_raises_its_error(app, said):
    @app.on_startup
    async def connect():
        await asyncio.sleep(0)
        said.append("connect")

    declare(app, [], FakeSource([], endless=True))
    app.run(block=False).stop()
    assert said == ["connect"]
    app.on_startup(lambda: 1 / 0)
    with pytest.raises(RunError, match="ZeroDivisionError"):
        app.run(block=False)


@pytest.mark.parametrize("error", [ValueError("no database"), SystemExit(3)])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_before_the_run_fails_it(app, said, error, is_async):
    if is_async:

        @app.on_startup
        async def connect():
            raise error
    else:

        @app.on_startup
        def connect():
            raise error

    @app.on_startup
    def later():
        said.append("later")

    @app.on_shutdown
    def leave():
        said.append("leave")

    declare(app, said)
    with pytest.raises(RunError, match=r"did not begin: on_startup 'connect' failed: .*(3|base)"):
        app.run()
    until(lambda: app.handle is None or not app.handle.running)
    assert said == []
    app.on_startup(connect_well(said))
    app.run()
    assert said == ["well", "later", 1, 2, 3, "leave"]


def connect_well(said):
    def connect():
        said.append("well")

    return connect


def test_what_does_not_come_back_is_given_up(app, monkeypatch):
    monkeypatch.setattr(lifespan, "STARTUP_S", 0.05)
    gate = threading.Event()

    @app.on_startup
    def connect():
        gate.wait(20)

    declare(app, [])
    with pytest.raises(RunError, match=r"'connect' failed: not done after 0\.05 s"):
        app.run()
    gate.set()


def test_an_error_after_the_run_is_logged_and_the_others_are_called(app, said, caplog):
    @app.on_shutdown
    def leave():
        msg = "gone already"
        raise ValueError(msg)

    @app.on_shutdown
    def close():
        said.append("close")

    declare(app, [])
    assert app.run().status() is State.DONE
    assert said == ["close"]
    assert "on_shutdown 'leave' failed: ValueError: gone already" in caplog.text


def test_a_shutdown_that_hangs_does_not_keep_the_run_from_ending(app, monkeypatch, caplog):
    monkeypatch.setattr(lifespan, "SHUTDOWN_S", 0.05)
    gate = threading.Event()

    @app.on_shutdown
    def leave():
        gate.wait(20)

    declare(app, [], FakeSource([[1]], endless=True))
    handle = app.run(block=False)
    handle.stop()
    assert not handle.running
    assert "not done after 0.05 s" in caplog.text
    gate.set()


def test_one_that_hangs_leaves_time_for_the_others(app, said, caplog, monkeypatch):
    monkeypatch.setattr(lifespan, "SHARE_S", 0.6)
    gate = threading.Event()

    @app.on_shutdown
    async def first():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:  # nor does it let itself be cancelled
            await asyncio.to_thread(gate.wait, 20)

    @app.on_shutdown
    def second():
        said.append("second")

    @app.on_shutdown
    async def third():
        await asyncio.sleep(0)
        said.append("third")

    declare(app, [], FakeSource([], endless=True))
    handle = app.run(block=False)
    began = time.monotonic()
    handle.stop(timeout=0.1)  # which leaves them the least
    assert time.monotonic() - began < 5
    gate.set()
    assert said == ["second", "third"]
    (record,) = [one for one in caplog.records if one.name == "buildflow_nb.run"]
    assert record.getMessage() == "on_shutdown 'first' was given up: not done after 0.2 s"
    assert record.exc_info is None


def test_a_slow_one_has_what_the_others_do_not_need(app, said, monkeypatch):
    monkeypatch.setattr(lifespan, "SHARE_S", 0.05)

    @app.on_shutdown
    def slow():
        threading.Event().wait(0.3)
        said.append("slow")

    for name in ("a", "b", "c"):
        app.on_shutdown(leaving(name, said))
    declare(app, [], FakeSource([], endless=True))
    handle = app.run(block=False)
    handle.stop(timeout=0.8)
    assert said == ["slow", "a", "b", "c"]


def leaving(name, said):
    def leave():
        said.append(name)

    leave.__name__ = leave.__qualname__ = name
    return leave


def test_a_run_that_ends_is_not_begun_anew_meanwhile(app, said):
    entered, gate = threading.Event(), threading.Event()

    @app.on_shutdown
    def leave():
        entered.set()
        gate.wait(20)

    declare(app, [])
    handle = app.run(block=False)
    assert entered.wait(20)
    assert handle.running
    declare(app, said)  # a cell that is run again
    with pytest.raises(UsageError, match=r"at its end; app\.run\(\) starts it again"):
        handle.start("same")
    gate.set()
    assert handle.wait(20) is State.DONE
    assert said == []


def test_a_run_that_cannot_listen_is_left_again(app, said):
    @app.on_startup
    def connect():
        said.append("connect")

    @app.on_shutdown
    def leave():
        said.append("leave")

    @app.endpoint("/")
    def hello() -> str:
        return "hello"

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Exception, match="is taken"):
            app.run(block=False, serve_port=other.getsockname()[1])
    until(lambda: said == ["connect", "leave"])


def test_without_any_nothing_is_slower_or_later(app):
    declare(app, [])
    assert app.run().status() is State.DONE


@pytest.mark.parametrize("word", ["on_startup", "on_shutdown"])
def test_what_cannot_be_called_is_refused_when_it_is_declared(app, word):
    with pytest.raises(DeclarationError, match=f"{word} 'f' is called without arguments"):

        @getattr(app, word)
        def f(x):
            return x


def test_the_log_tells_what_failed_and_where(app, caplog):
    caplog.set_level(logging.ERROR, "buildflow_nb.run")

    @app.on_shutdown
    def leave():
        return 1 / 0

    declare(app, [])
    app.run()
    (record,) = [one for one in caplog.records if one.name == "buildflow_nb.run"]
    assert record.exc_info[0] is ZeroDivisionError


def test_a_run_is_starting_until_what_comes_before_it_is_done(app):
    port = free_port()

    def status():
        address = f"http://127.0.0.1:{port}/runtime/status"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["status"]

    seen = []
    app.on_startup(lambda_named(lambda: seen.append(status())))
    app.consumer(source=FakeSource([], endless=True))(same)
    app.run(block=False, start_runtime_server=True, runtime_server_port=port)
    assert (seen, status()) == (["STARTING"], "RUNNING")


def lambda_named(function):
    function.__name__ = "look"
    return function


def same(x: int) -> int:
    return x
