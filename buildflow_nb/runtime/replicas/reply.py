"""What a replica answers: a result, or the error that its caller is to raise.

An error keeps its type. Its frames stay where they are; their text comes along as a note, so that a
person sees the user's line as if the code had run here.
"""

from __future__ import annotations

from typing import Any

from buildflow_nb.runtime.observability.tracebacks import cut
from buildflow_nb.runtime.shipping import pack_shown, unpack

__all__ = ("opened", "packed_error", "packed_result")


def packed_result(result: object) -> bytes:
    """A result; what of it cannot be sent comes as its text."""
    return pack_shown((True, result))


def packed_error(error: BaseException) -> bytes:
    """An error, with the user's part of its traceback."""
    trace = cut(error)
    if "\n" in trace.strip():
        error.add_note(f"in its replica:\n{trace}")
    return pack_shown((False, error))


def opened(reply: bytes) -> object:
    """What was given.

    Raises:
        Exception: what was raised there; a RuntimeError with its text where it cannot be sent.
    """
    pair: Any = unpack(reply)  # by the two above
    good, found = pair
    if good:
        return found
    if isinstance(found, BaseException):
        raise found
    raise RuntimeError(str(found))
