"""Connections that are made once and shared by all provider instances that want the same.

Making a client of an SDK takes 20 to 50 ms, and every preview and every update configures its
providers anew, so clients outlive them. The pool is bounded: the longest unused one is dropped, and
closed by its own finalizer once nobody holds it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ("Pool",)

T = TypeVar("T")


class Pool(Generic[T]):
    """Keeps at most `size` things by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key, made if there is nothing; SDKs make one client at a time."""
        with self._lock:
            return self._keep(key, self._kept[key] if key in self._kept else make())

    def find(self, key: Hashable) -> T | None:
        """What is kept under a key, or `None`."""
        with self._lock:
            return self._keep(key, self._kept[key]) if key in self._kept else None

    def put(self, key: Hashable, thing: T) -> None:
        """Keep a thing under a key, in place of what was there."""
        with self._lock:
            self._keep(key, thing)

    def _keep(self, key: Hashable, thing: T) -> T:
        self._kept[key] = thing
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return thing
