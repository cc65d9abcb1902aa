"""Which trace an element belongs to, as W3C's Trace Context (version 00) has it on the wire.

Whatever comes from elsewhere is read without trust: what is malformed is as if it were not there,
and never an error of the element that it came with. `tracestate` is other people's and is passed on
as it came.

Trace Context, "Traceparent Header" and "Tracestate Header" (W3C Recommendation, 2021).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from random import Random
from typing import NamedTuple

__all__ = (
    "TRACEPARENT",
    "TRACESTATE",
    "TRACE_SAMPLING",
    "TraceContext",
    "new_span_id",
    "new_trace_id",
    "read",
)

TRACE_SAMPLING = 0.001  # of all elements, where a flow says nothing else
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
STATE_LENGTH = 512  # characters that everybody has to pass on ("tracestate Limits")
SAMPLED = 1
_PARENT = re.compile("([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile("[ -~\t]+")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_RANDOM = Random()  # noqa: S311  (ids have to be other ones, and hide nothing)
_random = _RANDOM.getrandbits
if hasattr(os, "register_at_fork"):  # or a fork would give the same ids as its parent
    os.register_at_fork(after_in_child=_RANDOM.seed)


class TraceContext(NamedTuple):
    """A trace (32 hex digits) and the span in it that caused this (16, "" where there is none).

    `sampled` asks everybody on the way to note it down; `state` is what vendors keep with it.
    """

    trace_id: str
    span_id: str = ""
    sampled: bool = True
    state: str = ""

    @property
    def traceparent(self) -> str:
        """As the value of a header or attribute."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def attributes(self) -> dict[str, str]:
        """As headers or attributes of a message."""
        found = {TRACEPARENT: self.traceparent}
        if self.state:
            found[TRACESTATE] = self.state
        return found


def new_trace_id() -> str:
    """A trace that nobody else has."""
    return f"{_random(128) or 1:032x}"


def new_span_id() -> str:
    """A span that nobody else has."""
    return f"{_random(64) or 1:016x}"


def read(attributes: Mapping[str, object]) -> TraceContext | None:
    """What headers or attributes of a message say; None where that is nothing, or malformed."""
    parent = attributes.get(TRACEPARENT)
    if not isinstance(parent, str) or (match := _PARENT.fullmatch(parent)) is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & SAMPLED), _state(attributes))


def _state(attributes: Mapping[str, object]) -> str:
    state = attributes.get(TRACESTATE)
    fits = isinstance(state, str) and len(state) <= STATE_LENGTH and _STATE.fullmatch(state)
    return str(state) if fits else ""
