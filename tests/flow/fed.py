"""Flows that a test feeds while they run, and types that make tables."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import msgspec
import pydantic

from buildflow_nb.core.primitive import Batch, Wire
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.failing import until


class Fed(FakeSource):
    """A source that a test feeds while the flow runs."""

    def __init__(self, wire=Wire.OBJECT):
        super().__init__([], source_wire=wire)
        self.lock = threading.Condition()
        self.waiting: list[object] = []

    def feed(self, *items):
        with self.lock:
            self.waiting += items
            self.lock.notify_all()

    def source(self, env):
        made = super().source(env)
        fed = self

        class Opened:
            async def __aenter__(self):
                connection = await made.__aenter__()

                async def pull():
                    import asyncio

                    while not fed.waiting:  # noqa: ASYNC110  (fed from another thread)
                        await asyncio.sleep(0.001)
                    with fed.lock:
                        items, fed.waiting = fed.waiting, []
                    return Batch(items)

                connection.pull = pull
                return connection

            async def __aexit__(self, *error):
                return await made.__aexit__(*error)

        return Opened()


@dataclass
class Order:
    id: int
    qty: int


class Priced(pydantic.BaseModel):
    id: int
    total: float


class Row(TypedDict):
    id: int


class Pair(NamedTuple):
    a: int
    b: str


class Packed(msgspec.Struct):
    x: int


def record_in_background(app, *args, **words):
    """Start a recording and give it back once it listens."""
    found: list[object] = []

    def work():
        try:
            found.append(app.record(*args, **words))
        except Exception as error:  # noqa: BLE001
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: app.handle.recorder(args[0]) is not None or found)
    return thread, found


def price_flow(app, source, factor=10):
    @app.consumer(source=source, sink=FakeSink(), retries=0)
    def price(order: Order) -> Priced | None:
        if order.qty == 0:
            msg = f"order {order.id} has no quantity"
            raise ValueError(msg)
        return Priced(id=order.id, total=factor * order.qty) if order.qty > 0 else None


def texts(*quantities):
    return [json.dumps({"id": i, "qty": q}) for i, q in enumerate(quantities)]


def recorded(app, *quantities, factor=10, **words):
    source = Fed(Wire.TEXT)
    price_flow(app, source, factor)
    app.run(block=False)
    thread, found = record_in_background(app, "price", len(quantities), **words)
    source.feed(*texts(*quantities))
    thread.join(PATIENCE_S)
    (path,) = found
    return path
