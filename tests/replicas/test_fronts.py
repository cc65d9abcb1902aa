"""Routes in replicas: fronts that share a port, a key, and each other's routes."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from urllib.request import urlopen

import pytest

from buildflow_nb import Flow, middleware
from buildflow_nb.core.errors import UsageError
from buildflow_nb.requests import Request

from .child_host import ChildHost
from .declared import PATIENCE_S, priced, until


def test_fronts_share_one_port(host: ChildHost, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = Flow()

    def where(name: str) -> dict:
        import os

        import buildflow  # as BuildFlow's own programs say

        about = {"is": buildflow.__name__, "in": os.getcwd()}  # noqa: PTH109
        return {"pid": os.getpid(), "name": name, **about}

    app.endpoint("/where/{name}", "GET", num_replicas=2)(where)
    run = app.run(block=False, serve_port=0)
    try:
        until(lambda: len(run.snapshot().processors) == 1 and len(host.alive()) == 2)
        until(lambda: len(asked(run.address, 60)) == 2)
        assert run.snapshot().processor("where").codes[0][0] == 200
        address = run.address
        with urlopen(f"{address}/healthz") as answer:  # noqa: S310
            assert answer.status == 200
    finally:
        run.stop()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{address}/healthz")  # noqa: S310


def test_fronts_sign_sessions_with_the_key_of_the_run(host: ChildHost, monkeypatch) -> None:
    app = Flow()
    monkeypatch.delenv(middleware.SECRET_VARIABLE, raising=False)
    app.add_middleware(middleware.SessionMiddleware)

    def count(request: Request) -> dict:
        import os

        request.session["n"] = request.session.get("n", 0) + 1
        return {"pid": os.getpid(), "n": request.session["n"]}

    app.endpoint("/count", "GET", num_replicas=2)(count)
    with pytest.raises(UsageError, match="no key to sign sessions with"):
        app.run(block=False, serve_port=0)
    assert host.hosted == []
    monkeypatch.setattr(middleware, "kernel", object)  # which has a key of its own
    run = app.run(block=False, serve_port=0)
    try:
        cookie, seen, deadline = "", [], time.monotonic() + PATIENCE_S
        while len({one["pid"] for one in seen}) < 2:
            assert time.monotonic() < deadline
            request = urllib.request.Request(f"{run.address}/count", headers={"Cookie": cookie})  # noqa: S310
            with urlopen(request) as answer:  # noqa: S310
                cookie = answer.headers["set-cookie"].partition(";")[0]
                seen.append(json.load(answer))
        assert [one["n"] for one in seen] == list(range(1, len(seen) + 1))
    finally:
        run.stop()


def asked(address: str, count: int) -> set[int]:
    found = set()
    for _ in range(count):
        with urlopen(f"{address}/where/x") as answer:  # noqa: S310
            told = json.load(answer)
            assert (told["is"], told["in"]) == ("buildflow_nb", os.getcwd())  # noqa: PTH109
            found.add(told["pid"])
    return found


def test_an_endpoint_that_replaces_a_consumer_is_served(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    run = app.run(block=False, serve_port=0)
    try:
        until(lambda: len(host.alive()) == 1)

        def price(name: str) -> str:
            return name

        app.endpoint("/price/{name}", "GET")(price)
        until(lambda: run.address is not None)
        with urlopen(f"{run.address}/price/x") as answer:  # noqa: S310
            assert json.load(answer) == "x"
    finally:
        run.stop()
