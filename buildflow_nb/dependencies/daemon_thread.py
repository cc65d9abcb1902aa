"""Blocking code beside the loop, on a thread that cannot keep a process from ending.

The threads of `asyncio.to_thread` are waited for when Python ends, also those that hang. These are
daemons, one for each call: what runs here (the first use of a client, a fetch of keys) is rare.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ("begin", "in_thread")

T = TypeVar("T")


def begin(call: Callable[[], T], name: str) -> Future[T]:
    """Start a call on a thread of that name, in the context of the caller."""
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(call)
        except BaseException as error:  # noqa: BLE001  (handed to whoever waits)
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


async def in_thread(call: Callable[[], T], name: str) -> T:
    """Await a call on a thread of that name; whoever is cancelled leaves it behind.

    Raises:
        Exception: whatever it raised.
    """
    return await asyncio.wrap_future(begin(call, name))
