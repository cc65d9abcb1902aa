"""Trace contexts on the wire: as W3C says, and nothing that is malformed does any harm."""

from __future__ import annotations

import multiprocessing

import pytest

from buildflow_nb.core.trace_context import (
    STATE_LENGTH,
    TraceContext,
    new_span_id,
    new_trace_id,
    read,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_what_is_written_is_read_again():
    context = TraceContext(TRACE, SPAN, sampled=True, state="vendor=opaque,other=1")
    assert context.attributes() == {"traceparent": PARENT, "tracestate": "vendor=opaque,other=1"}
    assert read(context.attributes()) == context


def test_without_a_state_there_is_none():
    assert TraceContext(TRACE, SPAN).attributes() == {"traceparent": PARENT}


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("03", True), ("fe", False)]
)
def test_only_one_flag_counts(flags, sampled):
    assert read({"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}).sampled is sampled


@pytest.mark.parametrize("parent", [f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes"])
def test_later_versions_are_read_as_far_as_they_are_known(parent):
    assert read({"traceparent": parent}) == TraceContext(TRACE, SPAN)


MALFORMED = {
    "nothing": None,
    "empty": "",
    "a number": 7,
    "bytes": PARENT.encode(),
    "text": "hello",
    "capitals": PARENT.upper(),
    "too short": PARENT[:-1],
    "too long": f"{PARENT}0",
    "more in version 00": f"{PARENT}-00",
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no span": f"00-{TRACE}-{'0' * 16}-01",
    "no digits": f"00-{'g' * 32}-{SPAN}-01",
    "a line more": f"{PARENT}\n",
    "spaces around": f" {PARENT} ",
    "digits of another script": PARENT.replace("0", "\u0660"),
    "huge": "0" * 1_000_000,
}


@pytest.mark.parametrize("parent", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_not_there(parent):
    assert read({"traceparent": parent, "tracestate": "a=1"}) is None


def test_a_state_alone_says_nothing():
    assert read({"tracestate": "a=1"}) is None
    assert read({}) is None


@pytest.mark.parametrize("state", ["", None, 7, "a=\n1", "ü=1", "a" * (STATE_LENGTH + 1)])
def test_a_state_that_cannot_be_passed_on_is_dropped(state):
    assert read({"traceparent": PARENT, "tracestate": state}) == TraceContext(TRACE, SPAN)


def test_ids_are_other_ones_and_valid():
    ids = {new_trace_id() for _ in range(1_000)}
    spans = {new_span_id() for _ in range(1_000)}
    assert len(ids) == len(spans) == 1_000
    assert all(read({"traceparent": f"00-{one}-{SPAN}-01"}).trace_id == one for one in ids)
    assert all(read({"traceparent": f"00-{TRACE}-{one}-01"}).span_id == one for one in spans)


def test_a_fork_has_ids_of_its_own():
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        found = {*pool.map(_an_id, range(2), chunksize=1), new_trace_id()}
    assert len(found) == 3


def _an_id(_):
    return new_trace_id()
