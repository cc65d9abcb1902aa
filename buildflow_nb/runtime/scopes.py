"""What dependencies give: made when it is asked for, shared by scope, closed when its scope ends.

`Instances` holds what lives longer than a call: those of a replica, and above them those of the
run. Each is counted by whoever uses it and closed with its last user, in reverse order. New code
takes what it needs before the old code lets go, so what did not change between the two is the same
instance, and what did is made anew.

`recipe_of` says how one thing is made and how it is closed: a context manager is entered and left,
a generator runs to its `yield` and later on, anything else of a class with `aclose` or `close` is
closed by that. A closing that fails is an error like any other.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol

from buildflow_nb.core.credentials import FlowCredentials
from buildflow_nb.core.declaring.dependencies import Ambient, Argument, Dependency, Provider
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.concurrency.calls import contained

__all__ = ("LASTING", "Exit", "Instances", "Recipe", "Supply", "Workshop", "recipe_of")

LASTING = (Scope.REPLICA, Scope.GLOBAL)

Exit = Callable[[BaseException | None], Any]
"""Closes what was made, told of the error that its use ended with; an awaitable for async ones."""


class OpenedSink(Protocol):
    """What a dependency pushes to."""

    async def close(self) -> None:
        """Push what was begun, and close. Never raises."""
        ...


OpensSinks = Callable[[Any], Awaitable[OpenedSink]]  # of a primitive


@dataclass(frozen=True, slots=True)
class Supply:
    """What the dependencies of one processor are made of, whichever replica they are for.

    `shared` are those of the run.
    """

    env: Env
    shared: Instances
    open_sink: OpensSinks


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the things of one replica are made: sync code runs by `in_thread`."""

    supply: Supply
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]

    def ambient(self, wanted: Ambient) -> object:
        """What every dependency of a flow can have."""
        env = self.supply.env
        if wanted is Ambient.CREDENTIALS:
            return FlowCredentials(env.gcp, env.aws)
        return env


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one dependency is made: by `enter` in sync code, or `enter_async` on the loop.

    `in_loop` says that it must be made on the loop: it is async itself, or a class with async
    methods, which may look for the loop when it is made.
    """

    is_async: bool
    in_loop: bool
    enter: Callable[[Mapping[str, Any]], tuple[object, Exit | None]]
    enter_async: Callable[[Mapping[str, Any]], Coroutine[Any, Any, tuple[object, Exit | None]]]


@lru_cache(maxsize=256)
def recipe_of(made: Dependency) -> Recipe:
    """How to make what a dependency gives."""
    target = made.dependency_fn
    if isinstance(target, type):
        return _of_class(target)
    if inspect.isasyncgenfunction(target):
        return _of_async(lambda words: _entered(asynccontextmanager(target)(**words)))
    if inspect.isgeneratorfunction(target):
        return _of_sync(lambda words: _opened(contextmanager(target)(**words)))
    if inspect.iscoroutinefunction(target):

        async def call(words: Mapping[str, Any]) -> tuple[object, Exit | None]:
            return await target(**words), None

        return _of_async(call)
    return _of_sync(lambda words: (target(**words), None))


def _of_class(target: Any) -> Recipe:
    async_init = inspect.iscoroutinefunction(target.__init__)
    leaves = hasattr(target, "__aexit__") and hasattr(target, "__aenter__")
    closes = not hasattr(target, "__exit__") and _is_async(target, "aclose", "close")

    async def make(words: Mapping[str, Any]) -> tuple[object, Exit | None]:
        if async_init:
            plain = target.__new__ is object.__new__
            one = target.__new__(target) if plain else target.__new__(target, **words)
            await one.__init__(**words)
        else:
            one = target(**words)
        value, leave = await _entered(one) if leaves else _opened(one)
        return (one if value is None else value), leave

    if async_init or leaves or closes:
        return _of_async(make)

    def make_here(words: Mapping[str, Any]) -> tuple[object, Exit | None]:
        one = target(**words)
        value, leave = _opened(one)
        return (one if value is None else value), leave

    recipe = _of_sync(make_here)
    methods = (getattr(target, name, None) for name in dir(target) if not name.startswith("__"))
    in_loop = any(map(inspect.iscoroutinefunction, methods))
    return Recipe(False, in_loop, recipe.enter, recipe.enter_async)


def _is_async(target: type, *names: str) -> bool:
    """Whether the first of these methods that a class has is async."""
    for name in names:
        if hasattr(target, name):
            return inspect.iscoroutinefunction(getattr(target, name))
    return False


def _of_sync(enter: Callable[[Mapping[str, Any]], tuple[object, Exit | None]]) -> Recipe:
    async def enter_async(words: Mapping[str, Any]) -> tuple[object, Exit | None]:
        return enter(words)

    return Recipe(False, False, enter, enter_async)


def _of_async(
    enter: Callable[[Mapping[str, Any]], Coroutine[Any, Any, tuple[object, Exit | None]]],
) -> Recipe:
    def refuse(_words: Mapping[str, Any]) -> tuple[object, Exit | None]:
        raise AssertionError  # it is made by the loop

    return Recipe(True, True, refuse, enter)


async def _entered(manager: Any) -> tuple[object, Exit | None]:
    value = await manager.__aenter__()

    async def leave(error: BaseException | None) -> None:
        await manager.__aexit__(*_as_seen(error))

    return value, leave


def _opened(one: Any) -> tuple[object, Exit | None]:
    """What was made, entered if it can be, and how it is closed."""
    if hasattr(one, "__enter__") and hasattr(one, "__exit__"):
        value = one.__enter__()
        return value, lambda error: one.__exit__(*_as_seen(error))
    close = getattr(one, "aclose", None) or getattr(one, "close", None)
    return one, (lambda _error: close()) if callable(close) else None


def _as_seen(error: BaseException | None) -> tuple[Any, Any, Any]:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


@dataclass(slots=True)
class _Held:
    """One instance in use; `ready` once it is made, or could not be."""

    ready: asyncio.Future[object]
    users: int = 1
    exits: list[Callable[[Workshop], Awaitable[object]]] = field(default_factory=list)

    async def close(self, shop: Workshop) -> None:
        """Close it and let go of what it stands on, the last one first.

        It is closed by the threads of its last user: whoever made it may be gone.
        """
        async with AsyncExitStack() as stack:
            for leave in self.exits:
                stack.push_async_callback(leave, shop)


class Instances:
    """What lives as long as a replica, or as a run where nothing is `above`; used on the loop."""

    def __init__(self, above: Instances | None = None) -> None:
        self._above = above
        self._held: dict[Provider, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def acquire(self, provider: Provider, shop: Workshop) -> object:
        """What a provider of a lasting scope gives; to be released once for each time.

        Raises:
            Exception: it could not be made; nothing is held.
        """
        if provider.given is not None:
            return provider.given.value
        if provider.scope is Scope.GLOBAL and self._above is not None:
            return await self._above.acquire(provider, shop)
        held = self._held.get(provider)
        if held is None:
            held = self._held[provider] = _Held(asyncio.get_running_loop().create_future())
            await self._make(provider, held, shop)
        else:
            held.users += 1
        try:
            return await asyncio.shield(held.ready)
        except asyncio.CancelledError:
            await self.release(provider, shop)
            raise

    def keep(self, provider: Provider) -> bool:
        """Let what a provider has given stay, if it is there; whether it is to be released."""
        if provider.scope is Scope.GLOBAL and self._above is not None:
            return self._above.keep(provider)
        held = self._held.get(provider)
        if held is not None:
            held.users += 1
        return held is not None

    async def release(self, provider: Provider, shop: Workshop) -> None:
        """Use it no longer; the last user closes it.

        Raises:
            Exception: whatever closing it raised.
        """
        if provider.given is not None:
            return
        if provider.scope is Scope.GLOBAL and self._above is not None:
            await self._above.release(provider, shop)
            return
        held = self._held.get(provider)
        if held is None:
            return
        held.users -= 1
        if not held.users:
            del self._held[provider]
            await contained(held.close(shop))

    async def _make(self, provider: Provider, held: _Held, shop: Workshop) -> None:
        try:
            value = await contained(self._made(provider, held, shop))
        except BaseException as error:
            self._held.pop(provider, None)
            failure = error if isinstance(error, Exception) else RuntimeError("given up")
            held.ready.set_exception(failure)
            held.ready.exception()  # taken note of, even where nobody else waits for it
            await contained(held.close(shop))
            raise
        held.ready.set_result(value)

    async def _made(self, provider: Provider, held: _Held, shop: Workshop) -> object:
        words = {
            argument.name: await self._argument(provider, argument, held, shop)
            for argument in provider.arguments
        }
        recipe = recipe_of(provider.dependency)
        if recipe.in_loop:
            value, leave = await recipe.enter_async(words)
        else:
            value, leave = await shop.in_thread(partial(recipe.enter, words))
        if leave is not None:
            held.exits.append(partial(_left, leave, recipe))
        return value

    async def _argument(
        self, provider: Provider, argument: Argument, held: _Held, shop: Workshop
    ) -> object:
        source = argument.source
        if source is Ambient.SINK:
            sink = await shop.supply.open_sink(provider.dependency.primitive)
            held.exits.append(lambda _shop: sink.close())
            return sink
        if isinstance(source, Ambient):
            return shop.ambient(source)
        if source.scope in LASTING:
            value = await self.acquire(source, shop)
            held.exits.append(partial(self.release, source))
            return value
        if source.given is not None:
            return source.given.value
        return await self._made(source, held, shop)  # for this one alone


async def _left(leave: Exit, recipe: Recipe, shop: Workshop) -> None:
    if recipe.in_loop:
        closing = leave(None)
    else:
        closing = await shop.in_thread(partial(leave, None))
    if inspect.isawaitable(closing):
        await closing
