"""A sink that a dependency pushes to, beside the one that its processor declares.

What is pushed goes through a `Pusher` of its own, with its patience and its halving of pushes at
fault. A push begins when it is asked for, whether it is awaited or not, and a call is over only
when all that it pushed is stored: one that could not be makes the call fail, so at least once holds
for both sinks. A push that was awaited has told its caller, who may go on without it.

The sink is opened in the background and tried again, with back-off, for as long as it cannot be;
pushes wait for it, `wait_s` seconds at most where a client waits for them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.errors import PermanentError, TemporaryError, told
from buildflow_nb.core.portable import placed
from buildflow_nb.core.primitive import Env, Wire, Writable
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY, backoff_s
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.observability.call_notes import CallNotes, Written, notes_now
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import short_line
from buildflow_nb.runtime.sinks.push import (
    Contexts,
    Faults,
    Pusher,
    PushPlan,
    PushRequest,
    first_of,
)

__all__ = ("Pushed", "Pushes", "SideSink", "muted_sinks", "muting", "open_muted", "side_sinks")

T = TypeVar("T")
Done = concurrent.futures.Future[None]
PUSH_S = 30.0  # seconds that a client waits for a push: it gives up at about that time
LOOK_S = 0.05  # between looks whether all that was begun is stored, at the end
CLOSE_S = 5.0  # seconds for what is queued to be pushed when its user ends


class Pushed:
    """A push under way; awaiting it waits until it is stored.

    Whoever gives up waiting does not give up the push.

    Raises (when awaited):
        Exception: it is not stored, and why.
    """

    def __init__(self) -> None:
        self.future: Done = concurrent.futures.Future()
        self.pushes: Pushes | None = None
        self.told = False
        """Whether the call itself has heard that it failed, and may go on without it."""

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield from asyncio.shield(_waiting_for(self.future)).__await__()
        except asyncio.CancelledError:
            raise
        except BaseException:
            # A task that the call has made, and may never look at, is not the call.
            self.told = self.pushes is None or self.pushes.task is asyncio.current_task()
            raise


class Pushes:
    """All that one call has pushed."""

    _of_call: ContextVar[Pushes | None] = ContextVar("buildflow_pushes", default=None)

    def __init__(self) -> None:
        self._begun: list[Pushed] = []
        self.task = _current_task()

    @classmethod
    @contextmanager
    def of_call(cls) -> Generator[Pushes]:
        """Note what is pushed from here, and by tasks that are made here."""
        pushes = cls()
        token = cls._of_call.set(pushes)
        try:
            yield pushes
        finally:
            cls._of_call.reset(token)

    @classmethod
    def note(cls, pushed: Pushed) -> bool:
        """Let the call that this belongs to wait for it; whether it belongs to one."""
        pushes = pushed.pushes = cls._of_call.get()
        if pushes is not None:
            pushes._begun.append(pushed)  # noqa: SLF001  (its own class)
        return pushes is not None

    def settle(self) -> None:
        """Wait in a thread until all of it is stored.

        Raises:
            Exception: some of it is not, and nobody has been told yet.
        """
        concurrent.futures.wait([one.future for one in self._begun])
        self._refuse_lost()

    async def settle_async(self) -> None:
        """The same on the loop."""
        futures = [_waiting_for(one.future) for one in self._begun if not one.future.done()]
        if futures:
            await asyncio.wait(futures)
        self._refuse_lost()

    def _refuse_lost(self) -> None:
        for one in self._begun:
            error = one.future.exception()
            if error is not None and not one.told:
                raise error


class SideSink:
    """An open sink that may be pushed to from any thread; made and closed on the loop."""

    def __init__(
        self, primitive: Writable, env: Env, ledger: Ledger, plan: PushPlan, wait_s: float | None
    ) -> None:
        self._primitive = primitive
        self._env = env
        self._ledger = ledger
        self._plan = plan
        self._wait_s = wait_s
        self._loop = asyncio.get_running_loop()
        self._encode = compile_encoder(None, primitive.sink_wire, _named(primitive))
        self._pusher: Pusher | None = None
        self._open = asyncio.Event()
        self._broken: BaseException | None = None
        self._closing = False
        self._said = ""
        self._begun: set[Done] = set()
        self._waiting: set[asyncio.Task[None]] = set()  # for the sink to open, or for room
        self._main = asyncio.create_task(self._run(), name=f"sink {_named(primitive)}")

    def push(self, elements: Sequence[object]) -> Pushed:
        """Begin to push; each element in the sink's form.

        Raises:
            ConversionError: one of them has no form that the sink can store; nothing is pushed.
        """
        items = self._encode(elements)
        pushed = Pushed()
        if not Pushes.note(pushed):  # a thread of the user's own, say
            pushed.future.add_done_callback(self._say_lost)
        if _muted.get():
            pushed.future.set_result(None)
            return pushed
        notes = notes_now()
        contexts = None if notes is None else self._traced(notes, pushed, len(items))
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._begin(items, pushed, contexts)
        else:
            self._loop.call_soon_threadsafe(self._begin, items, pushed, contexts)
        return pushed

    def _traced(self, notes: CallNotes, pushed: Pushed, count: int) -> Contexts | None:
        """Note a push of a traced call; gives the traces that its items take along."""
        now, context = self._ledger.clock.now, notes.context
        pusher = self._pusher
        ends = "" if pusher is None else pusher.trace_ends
        written = Written(_named(self._primitive), now(), note=ends)
        notes.note(written)

        def end(done: Done) -> None:
            written.ended, error = now(), done.exception()
            said = "" if error is None else self._ledger.log.told(told(error))
            written.error = short_line(said)

        pushed.future.add_done_callback(end)
        if context is None or ends:
            return None
        return dict.fromkeys(range(count), context._replace(span_id=written.span_id))

    async def close(self) -> None:
        """Push what was begun, for a while, and close the sink. Never raises."""
        self._closing = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    while self._begun and not self._main.done():
                        await asyncio.wait({self._main, *self._waiting}, timeout=LOOK_S)
                    if self._pusher is not None:
                        await self._pusher.close()
                        await asyncio.wait({self._main})
        finally:
            self._main.cancel()
            for task in self._waiting:
                task.cancel()
            msg = f"{_named(self._primitive)} was closed before it took all; it may be written"
            self._give_up(self._broken or TemporaryError(msg))
        await asyncio.wait({self._main}, timeout=CLOSE_S)

    def _begin(self, items: Sequence[object], pushed: Pushed, contexts: Contexts | None) -> None:
        done = pushed.future
        self._begun.add(done)
        done.add_done_callback(self._begun.discard)
        if self._wait_s is not None:
            late = self._loop.call_later(self._wait_s, self._be_late, done)
            done.add_done_callback(lambda _: late.cancel())  # or it would be kept so long
        request = PushRequest(items, partial(_settled, done), contexts=contexts)
        pusher = self._pusher if self._open.is_set() else None
        if pusher is None or not pusher.submit_now(request):
            task = asyncio.create_task(self._submit(request, done))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _submit(self, request: PushRequest, done: Done) -> None:
        """Queue a request once the sink is open, and there is room."""
        while not done.done():
            if self._main.done():
                msg = f"{_named(self._primitive)} is closed; its dependency has ended"
                _settled(done, {0: self._broken or TemporaryError(msg)})
                return
            if not self._open.is_set():
                opening = asyncio.create_task(self._open.wait())
                await asyncio.wait({opening, self._main}, return_when=asyncio.FIRST_COMPLETED)
                opening.cancel()
            elif (pusher := self._pusher) is not None:
                await pusher.submit(request)
                if pusher is self._pusher:
                    return

    def _say_lost(self, done: Done) -> None:
        """Say that a push has failed which no call waits for."""
        error = done.exception()
        if error is not None:
            said = f"a push from outside of a call was not stored: {told(error)}"
            self._ledger.log.add("ERROR", f"{_named(self._primitive)}: {said}")

    def _be_late(self, done: Done) -> None:
        if not done.done():
            msg = (
                f"{_named(self._primitive)} did not take it within {self._wait_s:g} s; "
                "it may still be written"
            )
            done.set_exception(TemporaryError(msg))

    def _abandon(self, error: BaseException) -> None:
        """Fail what was on its way; what waits for the sink to open goes on waiting."""
        pusher, self._pusher = self._pusher, None
        for request in pusher.left() if pusher is not None else ():
            request.done({0: error})

    def _give_up(self, error: BaseException) -> None:
        """Tell everybody who waits."""
        for done in list(self._begun):
            _settled(done, {0: error})

    async def _run(self) -> None:
        tries = 0
        while not self._closing:
            try:
                await contained(self._open_and_push())
            except TEMPORARY as error:
                tries = 1 if self._open.is_set() else tries + 1
                self._open.clear()
                self._say(told(error))
                self._abandon(error)
                await self._ledger.clock.sleep(backoff_s(tries))
            except Exception as error:  # noqa: BLE001  (a sink may raise anything)
                self._broken = error
                self._say(told(error))
                self._give_up(error)
                return
            else:
                return

    async def _open_and_push(self) -> None:
        async with self._primitive.sink(self._env, None) as sink:
            self._pusher = Pusher(sink, self._plan, self._ledger.clock, self._say)
            self._open.set()
            await self._pusher.run()

    def _say(self, reason: str) -> None:
        """Note in the log of its processor what it waits for."""
        if reason and reason != self._said:
            self._ledger.log.add("WARNING", f"{_named(self._primitive)} waits: {reason}")
        self._said = reason


class _MutedSink:
    """Takes what a trial pushes, and writes nothing."""

    def __init__(self, wire: Wire, owner: str) -> None:
        self._encode = compile_encoder(None, wire, owner)

    def push(self, elements: Sequence[object]) -> Pushed:
        """Look whether it could be pushed.

        Raises:
            ConversionError: one of them has no form that the sink can store.
        """
        self._encode(elements)
        pushed = Pushed()
        pushed.future.set_result(None)
        return pushed

    async def close(self) -> None:
        """Nothing is open."""


async def open_muted(primitive: Any) -> _MutedSink:
    """What the dependencies of a trial push to."""
    return _MutedSink(getattr(primitive, "sink_wire", Wire.JSON), _named(primitive))


_muted: ContextVar[bool] = ContextVar("buildflow_muted", default=False)


@contextmanager
def muted_sinks() -> Generator[None]:
    """Let pushes from here go nowhere: of code that is only tried, nothing is written."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def muting(work: Callable[[], T]) -> Callable[[], T]:
    """Work for another thread, whose pushes go nowhere where those from here do."""
    if not _muted.get():
        return work

    def quiet() -> T:
        with muted_sinks():
            return work()

    return quiet


def side_sinks(
    env: Env, ledger: Ledger, patience: int, *, wait_s: float | None = None
) -> Callable[[Any], Awaitable[SideSink]]:
    """How the dependencies of a processor open sinks.

    Where somebody waits, `wait_s` seconds at most, `patience` counts tries after the first.
    """

    async def open_sink(declared: Any) -> SideSink:
        (primitive,) = placed(declared, env, "sink")
        if not isinstance(primitive, Writable):
            msg = f"{_named(primitive)} cannot be written"
            raise PermanentError(msg)
        # What is refused for what it is fails its call at once, which is tried again as a whole.
        waits = None if wait_s is None else patience
        plan = PushPlan(primitive.max_push, primitive.linger_s, 0, waits)
        return SideSink(primitive, env, ledger, plan, wait_s)

    return open_sink


def _waiting_for(done: Done) -> asyncio.Future[None]:
    """A future of the loop's for the same; nobody has to look at it."""
    waiting = asyncio.wrap_future(done)
    waiting.add_done_callback(lambda one: one.cancelled() or one.exception())
    return waiting


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # in a thread
        return None


def _settled(done: Done, faults: Faults) -> None:
    """Tell whoever waits what became of a push."""
    if done.done():
        return
    if faults:
        done.set_exception(first_of(faults))
    else:
        done.set_result(None)


def _named(primitive: object) -> str:
    return f"{type(primitive).__name__} {getattr(primitive, 'primitive_id', '')}".strip()
