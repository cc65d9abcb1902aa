"""Connections to this machine alone, made once and shared by all provider instances alike.

Making a client of an SDK takes 20 to 50 ms, and every preview and every update configures its
providers anew, so clients outlive them. The pool is bounded: the longest unused one is dropped, and
closed by its own finalizer once nobody holds it.

The provider is handed credentials and asked to delete things. Whatever a program, a configuration
or an environment variable says, that must not reach a real cloud, so an endpoint whose host is not
literally a loopback address is refused before anything is sent; no name is looked up for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import ip_address
from typing import Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

from buildflow_nb.core.errors import InfraError

__all__ = ("Pool", "loopback")

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


def loopback(endpoint: str, what: str) -> SplitResult:
    """Take an endpoint apart, if it is an http URL of this machine.

    Raises:
        InfraError: it is not; names `what` and the endpoint's host.
    """
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        msg = f"{what}: not a URL ({error}); give one like http://127.0.0.1:4566"
        raise InfraError(msg) from error
    if parts.scheme != "http" or port is None or not _is_local(parts.hostname or ""):
        msg = (
            f"{what}: {parts.scheme}://{parts.hostname}:{port} is not of this machine; the local "
            "cloud's provider dials only endpoints like http://127.0.0.1:4566"
        )
        raise InfraError(msg)
    return parts


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
