"""A stack as a line names it: never without the cloud that it is on, since one of them costs."""

from __future__ import annotations

__all__ = ("stack_said",)


def stack_said(name: str, cloud: str) -> str:
    """The name with the cloud, "local" or "real"; "" where nobody has said which."""
    return f"{name!r} ({cloud} cloud)" if cloud else repr(name)
