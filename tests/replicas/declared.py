"""Consumers over a queue that processes share, as the tests declare them."""

from __future__ import annotations

import time
from collections.abc import Callable

from buildflow_nb import Flow

from .shared_queue import SharedQueue, SharedRows

PATIENCE_S = 30.0


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def priced(app: Flow, path: str, **options) -> None:
    def price(order: dict) -> dict:
        print("priced", order["n"])  # noqa: T201
        if order["n"] < 0:
            raise ValueError("no such order")  # noqa: EM101
        return {**order, "v": 1}

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), **options)(price)


def named(name: str) -> Callable[[dict], dict]:
    def code(order: dict) -> dict:
        return order

    code.__name__ = code.__qualname__ = name
    return code
