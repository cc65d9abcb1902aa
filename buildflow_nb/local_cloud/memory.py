"""How much memory the servers of a local cloud take, told by the ports at which they listen."""

from __future__ import annotations

import psutil

__all__ = ("memory_by_port",)


def memory_by_port(supervisor: int) -> dict[int, int]:
    """Bytes of each server below a supervisor, with all its own processes, by each of its ports.

    What several processes share counts once, where the system tells that. A server that may not be
    looked at, or that is gone, is left out.
    """
    found: dict[int, int] = {}
    try:
        children = psutil.Process(supervisor).children()
    except psutil.Error:
        return found
    for child in children:
        try:
            family = [child, *child.children(recursive=True)]
            size = sum(map(_size, family))
            ports = {c.laddr.port for one in family for c in one.net_connections("tcp") if c.laddr}
        except psutil.Error:
            continue
        found |= dict.fromkeys(ports, size)
    return found


def _size(process: psutil.Process) -> int:
    try:
        told = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(told, "pss", 0) or told.uss)
