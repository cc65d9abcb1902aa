"""What every call of async code of others needs, in a consumer and in a route alike."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from types import AsyncGeneratorType, GeneratorType, NoneType
from typing import Any, TypeVar, cast

from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("being_cancelled", "call_hook", "contained", "flatten", "is_cancel", "listed")

T = TypeVar("T")


def being_cancelled() -> bool:
    """Whether somebody cancelled this task, rather than user code raising CancelledError."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_cancel(error: BaseException) -> bool:
    """Whether an error is this task's own cancellation, which must be passed on."""
    return isinstance(error, asyncio.CancelledError) and being_cancelled()


async def contained(work: Awaitable[T]) -> T:
    """Await it; what is no `Exception`, and in a task would end the loop, comes as a RuntimeError.

    Raises:
        Exception: whatever it raised.
    """
    try:
        return await work
    except BaseException as error:
        if isinstance(error, Exception) or is_cancel(error):
            raise
        raise RuntimeError(describe(error)) from error


async def listed(stream: AsyncIterator[Any]) -> list[Any]:
    """All that an async iterator gives; a generator is closed whatever happens."""
    try:
        return [item async for item in stream]
    finally:
        if isinstance(stream, AsyncGeneratorType):
            await stream.aclose()


def flatten(result: object) -> list[object]:
    """One result as elements: None is none; a list, a tuple or a generator is many."""
    kind = type(result)
    if kind is NoneType:
        return []
    if kind in (list, tuple, GeneratorType):
        return [item for item in cast("list[object]", result) if item is not None]
    return [result]


async def call_hook(
    instance: object, name: str, in_thread: Callable[[Callable[[], object]], Awaitable[object]]
) -> None:
    """Call a method of a processor's instance, if it has one of this name; sync ones in a thread.

    Raises:
        Exception: whatever it raised.
    """
    hook = getattr(instance, name, None)
    if callable(hook):
        await (contained(hook()) if inspect.iscoroutinefunction(hook) else in_thread(hook))
