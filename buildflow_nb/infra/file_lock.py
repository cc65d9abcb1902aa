"""A lock on an open file that the system takes from a process that dies."""

from __future__ import annotations

__all__ = ("try_lock",)


def try_lock(handle: int) -> bool:
    """Lock an open file, if no other process has; closing the file lets go of it.

    Windows has no such lock in Python's library; there it is always granted.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
