"""How one version of a processor's code is called with its dependencies.

What lasts longer than a call is bound to the function once, so that calling it costs nothing more.
What lives for a call is made around each: in the thread of sync code, on the loop for async code
and for what is itself async. A call whose dependencies cannot be closed has failed (a commit may be
what failed); one that has failed anyway keeps its own error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

from buildflow_nb.core.declaring.dependencies import Ambient, Argument, Provider
from buildflow_nb.core.declaring.processor import Processor
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.runtime.concurrency.calls import contained, listed
from buildflow_nb.runtime.given_arguments import given_first, with_given
from buildflow_nb.runtime.scopes import LASTING, Exit, Instances, Supply, Workshop, recipe_of
from buildflow_nb.runtime.sinks.side_sink import Pushes

__all__ = ("Injector", "Pushing", "injector_for", "settle_all", "settle_all_async")

Call = Callable[..., Any]
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class Injector:
    """The injected arguments of one version of a processor's code, in one replica."""

    def __init__(self, processor: Processor, instances: Instances, shop: Workshop) -> None:
        self._processor = processor
        self._instances = instances
        self._shop = shop
        self._acquired: list[Provider] = []
        self._values: dict[Provider, object] = {}
        self.ready = False
        """Whether it is set up."""
        self._per_call = tuple(one for one in processor.arguments if not _lasts(one))
        self.pushes = any(one.needs(Ambient.SINK) for one in processor.providers)
        """Whether the code pushes to sinks of its dependencies."""
        self.takes_request = any(
            provider.needs(wanted)
            for provider in processor.providers
            for wanted in (Ambient.REQUEST, Ambient.WEBSOCKET)
        )

    @property
    def per_call(self) -> bool:
        """Whether there is something to do around each call."""
        return bool(self._per_call) or self.pushes

    async def set_up(self) -> None:
        """Make what lasts, or take it as it is.

        Raises:
            Exception: something could not be made; nothing is kept.
        """
        try:
            for provider in self._processor.providers:
                behind = provider.behind  # it goes on where it was, once nothing stands in for it
                if behind and behind.scope in LASTING and self._instances.keep(behind):
                    self._acquired.append(behind)
                if provider.scope in LASTING and provider not in self._values:
                    value = await self._instances.acquire(provider, self._shop)
                    self._acquired.append(provider)
                    self._values[provider] = value
        except BaseException:
            await self.tear_down()
            raise
        self.ready = True

    async def tear_down(self) -> None:
        """Let go of what lasts; whatever nobody else uses is closed, in reverse order.

        Raises:
            ExceptionGroup: closing failed; all of it was tried.
        """
        errors: list[Exception] = []
        self.ready = False
        while self._acquired:
            try:
                await self._instances.release(self._acquired.pop(), self._shop)
            except Exception as error:  # noqa: BLE001  (user code)
                errors.append(error)
        self._values = {}
        if len(errors) == 1:
            raise errors[0]
        if errors:
            msg = "dependencies could not be closed"
            raise ExceptionGroup(msg, errors)

    def bound(self, call: Call, *, defer: bool = False) -> Call:
        """The code to call with an element or a request's arguments alone.

        Of code with several results, those of a call that has dependencies of its own come as a
        list, since they end with it. `__request__` is then a keyword of it. With `defer`, code that
        pushes to sinks gives `Pushing`, for whoever calls it to wait for many pushes at once.
        """
        lasting = {
            one.name: self.ambient(one.source, None)
            if isinstance(one.source, Ambient)
            else self.value(one.source)
            for one in self._processor.arguments
            if _lasts(one)
        }
        opened = [one.name for one in self._processor.parameters]
        bound = with_given(given_first(call, opened), lasting)
        if not self.per_call:
            return bound
        if self._processor.is_async:
            work = _whole_async(bound, many=self._processor.many)
            work = self._around_async(work) if self._per_call else work
            return _settling_async(work, defer=defer) if self.pushes else work
        work = self._around(_whole(bound)) if self._per_call else _whole(bound)
        return _settling(work, defer=defer) if self.pushes else work

    def _around(self, call: Call) -> Call:
        loop, own = asyncio.get_running_loop(), self._per_call

        def around(*args: Any, __request__: object = None, **words: Any) -> Any:
            scope = _CallScope(self, __request__)
            try:
                for one in own:
                    words[one.name] = scope.take(one.source, loop)
                result = call(*args, **words)
            except BaseException as error:
                scope.leave(error, loop)
                raise
            scope.leave(None, loop)
            return result

        return around

    def _around_async(self, call: Call) -> Call:
        own = self._per_call

        async def around(*args: Any, __request__: object = None, **words: Any) -> Any:
            scope = _CallScope(self, __request__)
            try:
                for one in own:
                    words[one.name] = await scope.take_async(one.source)
                result = await call(*args, **words)
            except BaseException as error:
                await scope.leave_async(error)
                raise
            await scope.leave_async(None)
            return result

        return around

    def ambient(self, wanted: Ambient, request: object) -> object:
        """What a call or the flow gives."""
        if wanted is Ambient.REQUEST:
            return request
        if wanted is Ambient.WEBSOCKET:
            return request if _is_websocket(request) else None
        return self._shop.ambient(wanted)

    def value(self, provider: Provider) -> object:
        """What a provider of a lasting scope has given."""
        return provider.given.value if provider.given is not None else self._values[provider]


def injector_for(
    processor: Processor, instances: Instances, supply: Supply, in_thread: InThread
) -> Injector | None:
    """What injects, where there is anything to inject; sync code that makes it runs `in_thread`."""
    if not processor.arguments:
        return None
    return Injector(processor, instances, Workshop(supply, in_thread))


def _is_websocket(connection: object) -> bool:
    return getattr(connection, "scope", {}).get("type") == "websocket"


def _whole(call: Call) -> Call:
    """The call with all that a generator gives, as a list: what it depends on ends with it."""

    def whole(*args: Any, **words: Any) -> Any:
        result = call(*args, **words)
        return list(result) if type(result) is GeneratorType else result

    return whole


def _whole_async(call: Call, *, many: bool) -> Call:
    async def whole(*args: Any, **words: Any) -> Any:
        found = call(*args, **words)
        result = await (listed(found) if many else found)
        return list(result) if type(result) is GeneratorType else result

    return whole


@dataclass(frozen=True, slots=True)
class Pushing:
    """What a call gave, and what it pushed, which may be under way still."""

    result: Any
    pushes: Pushes


def settle_all(results: list[Any], faults: dict[int, BaseException]) -> None:
    """Wait in a thread until what these calls pushed is stored; the others become faults."""
    for i, made in enumerate(results):
        if type(made) is Pushing:
            results[i] = made.result
            try:
                made.pushes.settle()
            except BaseException as error:  # noqa: BLE001  (it is the element's)
                faults[i], results[i] = error, None


async def settle_all_async(results: list[Any], faults: dict[int, BaseException]) -> None:
    """The same on the loop."""
    for i, made in enumerate(results):
        if type(made) is Pushing:
            results[i] = made.result
            try:
                await made.pushes.settle_async()
            except Exception as error:  # noqa: BLE001  (it is the element's)
                faults[i], results[i] = error, None


def _settling(call: Call, *, defer: bool) -> Call:
    """The call, which is over only when all that it pushed is stored."""

    def settling(*args: Any, **words: Any) -> Any:
        with Pushes.of_call() as pushes:
            result = call(*args, **words)
        if defer:
            return Pushing(result, pushes)
        pushes.settle()
        return result

    return settling


def _settling_async(call: Call, *, defer: bool) -> Call:
    async def settling(*args: Any, **words: Any) -> Any:
        with Pushes.of_call() as pushes:
            result = await call(*args, **words)
        if defer:
            return Pushing(result, pushes)
        await pushes.settle_async()
        return result

    return settling


def _lasts(argument: Argument) -> bool:
    source = argument.source
    return isinstance(source, Ambient) or source.scope in LASTING or source.given is not None


class _CallScope:
    """What is made for one call, and closed when it is over."""

    __slots__ = ("_exits", "_injector", "_request", "_values")

    def __init__(self, injector: Injector, request: object) -> None:
        self._injector = injector
        self._request = request
        self._values: dict[Provider, object] = {}
        self._exits: list[tuple[Exit, bool]] = []

    def take(self, source: Provider | Ambient, loop: asyncio.AbstractEventLoop) -> object:
        """What an argument gets, in the thread of sync code."""
        if isinstance(source, Ambient) or self._is_there(source):
            return self._found(source)
        words = {one.name: self.take(one.source, loop) for one in source.arguments}
        recipe = recipe_of(source.dependency)
        if recipe.is_async:
            value, leave = _on(loop, recipe.enter_async(words))
        else:
            value, leave = recipe.enter(words)
        return self._keep(source, value, leave, recipe.is_async)

    async def take_async(self, source: Provider | Ambient) -> object:
        """The same on the loop, which async code shares with what it depends on."""
        if isinstance(source, Ambient) or self._is_there(source):
            return self._found(source)
        words = {one.name: await self.take_async(one.source) for one in source.arguments}
        recipe = recipe_of(source.dependency)
        value, leave = await recipe.enter_async(words)
        return self._keep(source, value, leave, recipe.is_async)

    def leave(self, error: BaseException | None, loop: asyncio.AbstractEventLoop) -> None:
        """Close all of it, the last one first.

        Raises:
            Exception: the call went well, and something could not be closed.
        """
        failed: BaseException | None = None
        for leave, is_async in reversed(self._exits):
            try:
                if is_async:
                    _on(loop, leave(error))
                else:
                    leave(error)
            except BaseException as trouble:  # noqa: BLE001  (user code; the others are closed)
                failed = _first(error, failed, trouble)
        if failed is not None:
            raise failed

    async def leave_async(self, error: BaseException | None) -> None:
        """The same on the loop."""
        failed: BaseException | None = None
        for leave, is_async in reversed(self._exits):
            try:
                closing = leave(error)
                if is_async:
                    await closing
            except BaseException as trouble:  # noqa: BLE001  (user code; the others are closed)
                failed = _first(error, failed, trouble)
        if failed is not None:
            raise failed

    def _is_there(self, source: Provider) -> bool:
        return source in self._values or source.scope in LASTING or source.given is not None

    def _found(self, source: Provider | Ambient) -> object:
        if isinstance(source, Ambient):
            return self._injector.ambient(source, self._request)
        if source in self._values:
            return self._values[source]
        return self._injector.value(source)

    def _keep(self, source: Provider, value: object, leave: Exit | None, is_async: bool) -> object:
        if leave is not None:
            self._exits.append((leave, is_async))
        if source.scope is Scope.PROCESS:
            self._values[source] = value
        return value


def _first(
    error: BaseException | None, failed: BaseException | None, trouble: BaseException
) -> BaseException | None:
    """What a call has failed by, when closing failed too."""
    if error is None:
        return failed or trouble
    if trouble is not error:
        error.add_note(f"closing its dependencies failed, too: {trouble!r}")
    return None


def _on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    """What async code gives, for a thread that waits for it."""
    return asyncio.run_coroutine_threadsafe(contained(work), loop).result()
