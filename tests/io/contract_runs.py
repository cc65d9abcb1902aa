"""What every source keeps while a consumer reads it: poisoned, replaced, slow to answer."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Env, Wire
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.plan import RunPlan
from tests.fakes import PATIENCE_S, FakeSink
from tests.io.flows import running, until

__all__ = ("RunContract",)

SLOW_S, FEW = 0.02, 10  # for the first few elements, so that a replacement meets them
LATE_S = 0.7  # longer than the silence that was once taken for emptiness


class RunContract:
    """Inherited by `SourceContract`."""

    expected: ClassVar[list[object]] = []

    def prepare(self, folder: Path) -> Any:
        """A primitive over data that is there."""
        raise NotImplementedError

    def test_an_element_that_breaks_the_code_fails_alone(self, tmp_path):
        calls: list[object] = []

        def judge(element: object) -> dict:
            calls.append(element)
            if len(calls) == 2:
                raise RecursionError
            return {"element": element}

        sink, most = FakeSink(), len(self.expected)
        words = {"source": self.prepare(tmp_path), "sink": sink, "retries": 0}
        with running(Env(), judge, **words) as handle:
            until(lambda: len(sink.tape.pushed) >= most - 1 and handle.failures())
            assert handle.status() in (State.RUNNING, State.DONE)
            assert handle.failures()[0].error == "RecursionError"
        good = [element for i, element in enumerate(calls) if i != 1]
        assert [one["element"] for one in sink.tape.pushed[: most - 1]] == good[: most - 1]

    def test_a_replacement_of_its_consumer_loses_nothing(self, tmp_path):
        source, sinks, go = (
            self.prepare(tmp_path),
            [FakeSink() for _ in range(3)],
            threading.Event(),
        )
        seen: list[object] = []

        def judge(element: object) -> dict:
            seen.append(element)
            go.wait(SLOW_S if len(seen) < FEW else 0.0)
            return {"element": element}

        flow, most = Flow(), len(self.expected)
        flow.consumer(source=source, sink=sinks[0])(judge)
        flow.handle = handle = RunHandle(RunPlan("test", Env()), flow.registry)
        handle.begin()
        try:
            for sink in sinks[1:]:
                flow.consumer(source=source, sink=sink)(judge)
            go.set()
            until(lambda: sum(len(sink.tape.pushed) for sink in sinks) >= most)
            assert handle.status() in (State.RUNNING, State.DONE)
            assert handle.failures() == []
        finally:
            handle.stop(drain=False)
        stored = [one["element"] for sink in sinks for one in sink.tape.pushed]
        for element in seen[:most]:
            stored.remove(element)

    def test_a_slow_first_answer_is_no_end(self, tmp_path):
        source, sink = Late(self.prepare(tmp_path), threading.Event()), FakeSink()

        def judge(element: object) -> dict:
            return {"element": element}

        with running(Env(), judge, source=source, sink=sink) as handle:
            with pytest.raises(TimeoutError):
                handle.wait_until(drained=True, timeout=LATE_S)
            source.go.set()
            until(lambda: len(sink.tape.pushed) >= len(self.expected))


@dataclass(frozen=True)
class Late:
    """Another primitive, whose source begins to answer when it may."""

    primitive: Any
    go: threading.Event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.primitive, name)

    @property
    def primitive_id(self) -> str:  # these are looked for in the class, since Python 3.12
        return self.primitive.primitive_id

    @property
    def source_wire(self) -> Wire:
        return self.primitive.source_wire

    @property
    def max_pullers(self) -> int:
        return self.primitive.max_pullers

    @asynccontextmanager
    async def source(self, env: Env):
        async with self.primitive.source(env) as source:
            pull = source.pull

            async def late():
                await asyncio.to_thread(self.go.wait, PATIENCE_S)
                return await pull()

            source.pull = late
            yield source
