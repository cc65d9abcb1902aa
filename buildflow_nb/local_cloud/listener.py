"""Who listens at a port: a process of ours, a stranger, or nobody yet.

That something accepts at a port proves nothing: between the choice of a port and the moment at
which an emulator binds it, anybody can. What counts is whose the listening socket is, and the
system tells that (`/proc/PID/fd` and `/proc/net/tcp`, proc(5), and their kin, by psutil).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Collection

import psutil

from buildflow_nb.local_cloud.ports import HOST

__all__ = ("Listener", "listener")

ACCEPT_S = 1.0  # on the loopback it is a millisecond


class Listener(enum.Enum):
    """Whose the sockets are that listen at some ports."""

    OURS = enum.auto()
    STRANGER = enum.auto()
    NOBODY = enum.auto()


async def listener(
    pid: int, ports: Collection[int], known: Callable[[int], set[int]] = lambda _pid: set()
) -> Listener:
    """Whether a process, or one that it started, listens at all of the ports, and answers.

    A single one that is another's makes it a stranger. `known` gives those that are known to be the
    process's by other means.
    """

    def found() -> set[int]:
        return known(pid) | _listening(pid)

    missing = set(ports) - await asyncio.to_thread(found)
    for port in sorted(missing):
        if await _accepts(port):
            # It may have begun to listen in between; of two looks only the later one counts.
            again = await asyncio.to_thread(found)
            return Listener.NOBODY if port in again else Listener.STRANGER
    if missing:
        return Listener.NOBODY
    # The system's tables are no single moment: what they say is believed once it answers, too.
    answers = [await _accepts(port) for port in ports]
    return Listener.OURS if all(answers) else Listener.NOBODY


def _listening(pid: int) -> set[int]:
    """The ports at which a process and its children listen."""
    found: set[int] = set()
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return found
    for each in family:
        try:
            connections = each.net_connections("tcp")
        except psutil.Error:
            continue
        found |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return found


async def _accepts(port: int) -> bool:
    """Whether something listens at a port of the loopback."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(HOST, port), ACCEPT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
