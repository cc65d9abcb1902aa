"""What a consumer has open: its sink, its dead letter, its source.

Temporary faults are waited out and shown. The sinks are closed by the stack of whoever opened them;
the source lives apart from that, since a successor that reads the same one takes it over open.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import Env, IdempotentSink, Sink, Source, label_of
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.consumer.kept import kept, origins_of
from buildflow_nb.runtime.consumer.outcome import ChunkOutcome
from buildflow_nb.runtime.consumer.settle import Settler
from buildflow_nb.runtime.consumer.tracing import ChunkTracing
from buildflow_nb.runtime.liveness import Waits
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.sinks.dead_letters import DeadLetters
from buildflow_nb.runtime.sinks.once import OncePusher
from buildflow_nb.runtime.sinks.push import Faults, Pusher, PushPlan, PushRequest

__all__ = ("Connections",)


class Connections:
    """The connections of one consumer; used on the loop only."""

    def __init__(
        self, spec: ConsumerSpec, env: Env, ledger: Ledger, waits: Waits, tracing: ChunkTracing
    ) -> None:
        self.pusher: Pusher | None = None
        self.source: Source | None = None
        self.dead = DeadLetters(spec.options.dead_letter, ledger, waits)
        self._spec = spec
        self._env = env
        self._clock: Clock = ledger.clock
        self._waits = waits
        self._log = ledger.log
        self._source_stack = AsyncExitStack()
        self.tracing = tracing

    async def open_sinks(self, stack: AsyncExitStack) -> None:
        """Open what is written, to be closed by `stack`.

        Raises:
            Exception: it can never be opened.
        """
        spec, env, waits = self._spec, self._env, self._waits
        sink = spec.sink
        if sink is not None:
            out = spec.output_type
            opened = await waits.out("sink", lambda: stack.enter_async_context(sink.sink(env, out)))
            plan = PushPlan(sink.max_push, sink.linger_s, spec.options.retries)
            self.pusher = self._pusher(opened, plan, lambda reason: waits.show("sink", reason))
            self.pusher.times = self.tracing.ledger.metrics.parts
            self.tracing.ends = self.pusher.trace_ends
        stack.push_async_callback(self.dead.close)
        await waits.out("dead letter", lambda: self.dead.open(env))

    def _pusher(self, sink: Sink, plan: PushPlan, on_wait: Callable[[str], None]) -> Pusher:
        if self._spec.options.delivery != "exactly-once":
            return Pusher(sink, plan, self._clock, on_wait)
        folder = self._env.positions
        if folder is None or not isinstance(sink, IdempotentSink):
            what = "folder where pushes are noted" if folder is None else "`push_once` of its sink"
            msg = f"{self._spec.id}: exactly once cannot be had without a {what}"
            raise PermanentError(msg)
        position = Position(folder, f"pushes {label_of(self._spec.sink)}")
        made = OncePusher(sink, plan, self._clock, on_wait, position, self._spec.id)
        made.warn = lambda text: self._log.add("WARNING", text)
        return made

    def keep_with(self, settler: Settler, source: Source) -> None:
        """Where each push is stored once, have the source note after each what is done."""
        if isinstance(self.pusher, OncePusher):
            self.pusher.settled = lambda: kept(settler, source)

    async def push(
        self, chunk: Chunk, outcome: ChunkOutcome, done: Callable[[Faults], None]
    ) -> None:
        """Queue what a chunk gave, to be pushed; waits while the queue is full."""
        if self.pusher is None:
            done({})
            return
        once = isinstance(self.pusher, OncePusher)
        origins = origins_of(chunk, outcome) if once else None
        contexts = self.tracing.carried(outcome) if outcome.visits else None
        await self.pusher.submit(PushRequest(outcome.items, done, origins, contexts))

    def hurry(self) -> None:
        """Let no push wait for more any longer: nothing more is pulled."""
        if self.pusher is not None:
            self.pusher.hurry()

    async def open_source(self) -> Source:
        """Open what is read, unless it was taken over.

        Raises:
            Exception: it can never be opened.
        """
        if self.source is None:
            kept, primitive = self._source_stack, self._spec.source
            self.source = await self._waits.out(
                "source", lambda: kept.enter_async_context(primitive.source(self._env))
            )
        return self.source

    def pass_source_to(self, other: Connections) -> None:
        """Let another consumer have the open source; nothing is left here to close."""
        other.source, self.source = self.source, None
        other._source_stack, self._source_stack = self._source_stack, AsyncExitStack()

    async def close_source(self) -> None:
        """Close it, if it is open here."""
        self.source = None
        await self._source_stack.aclose()
