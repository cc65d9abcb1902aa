"""What every call of async user code needs, in a consumer and in a route alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import AsyncGeneratorType
from typing import Any

__all__ = ("being_cancelled", "listed")


def being_cancelled() -> bool:
    """Whether somebody cancelled this task, rather than user code raising CancelledError."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def listed(stream: AsyncIterator[Any]) -> list[Any]:
    """All that an async iterator gives; a generator is closed whatever happens."""
    try:
        return [item async for item in stream]
    finally:
        if isinstance(stream, AsyncGeneratorType):
            await stream.aclose()
