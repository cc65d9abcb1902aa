"""Flows whose elements fail, and a wait for what they do."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.fakes import PATIENCE_S, FakeSource


def until(so, what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.002)


@dataclass
class Order:
    id: int
    qty: int


def lambda_named(name):
    def code(x: int) -> int:
        return x

    code.__name__ = name
    return code


def numbers(app, processor_id):
    p = app.snapshot().processor(processor_id)
    return p.elements_in, p.elements_out, p.dropped, p.failed, p.failures_kept


def picky_flow(app, sink, *, bad=(2,), batches=([1, 2, 3],), **options):
    """A consumer that refuses some numbers, at work."""
    refused = set(bad)

    @app.consumer(source=FakeSource(batches, endless=True), sink=sink, retries=0, **options)
    def picky(x: int) -> int:
        if x in refused:
            place = f"local of {x}"
            msg = f"no {x}, {place}"
            raise ValueError(msg)
        return 10 * x

    app.run(block=False)
    until(lambda: len(app.failures("picky")) == len(bad))
    return refused
