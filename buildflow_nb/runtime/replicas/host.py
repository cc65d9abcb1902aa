"""Where replicas live: what makes processes elsewhere, carries bytes to them, and ends them.

A host knows nothing of flows: in each of its processes stands one `Replica` (`replica.py`), which
is called by name with bytes and answers with bytes. So whatever makes processes, be it a Ray
cluster or this machine, runs a flow alike, and nothing of a flow passes through what it is made of.
All methods run on the loop thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ("FENCE_S", "GoneError", "Host", "Hosted", "Wants")

FENCE_S = 30.0  # a replica that its host has not asked for so long ends, with a drain


class GoneError(ConnectionError):
    """The process of a replica has ended, or its host; says which, and why if that is known."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What one replica needs of the machine that it is on.

    `memory` is in bytes, 0 for no demand. `here` asks for the machine of whoever runs the flow:
    for files, and for servers that only this machine can reach.
    """

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory: int = 0
    here: bool = False


class Hosted(Protocol):
    """A replica in its process, from outside."""

    @property
    def pid(self) -> int:
        """The process, on its machine."""
        ...

    @property
    def node(self) -> str:
        """The machine, as its cluster calls it; "" for this one."""
        ...

    async def call(self, method: str, payload: bytes, timeout_s: float) -> bytes:
        """Call `Replica.call` there.

        Raises:
            GoneError: its process has ended, or cannot be reached ever again.
            TimeoutError: no answer in time; it may still be done.
        """
        ...

    async def kill(self) -> None:
        """End its process at once. Never raises."""
        ...


class Host(Protocol):
    """Makes replicas.

    As long as the host works, and whoever opened it lives, each of its replicas is told so at least
    every few seconds (`Replica.beat`). If that one is gone, or the host is, all of them drain and
    end, and so does everything that the host itself has started.
    """

    async def open(self, on_lost: Callable[[str], None]) -> None:
        """Get ready; `on_lost` hears why, should the host end by itself.

        Raises:
            RunError: it cannot be had; says why and what to do. Nothing is left running.
        """
        ...

    async def spawn(self, name: str, wants: Wants, on_wait: Callable[[str], None]) -> Hosted:
        """Start a process with a replica in it, and wait until it answers.

        While there is no room for it, `on_wait` hears what it waits for, and "" when that is over.
        It waits as long as that takes; being cancelled, it asks for the process no more.

        Raises:
            GoneError: the process ended before it answered, or the host did; or no machine can
                ever have what is wanted.
        """
        ...

    async def close(self) -> None:
        """End all processes that are left, and whatever the host itself has started.

        Never raises; waits at most a minute.
        """
        ...
