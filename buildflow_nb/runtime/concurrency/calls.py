"""What every call of async code of others needs, in a consumer and in a route alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from types import AsyncGeneratorType
from typing import Any, TypeVar

from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("being_cancelled", "contained", "is_cancel", "listed")

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
