"""What was pulled waits in order, and small batches as few."""

from __future__ import annotations

import asyncio

import pytest

from buildflow_nb.core.primitive import Batch
from buildflow_nb.runtime.consumer.inbox import JOINED, JOINED_S, Inbox, PulledBatch

DEADLINE_S = 10.0


@pytest.fixture
def inbox():
    return Inbox()


def put(inbox, batch, now=0.0):
    inbox.put_pulled(batch, len(batch.items), now)


def taken(inbox, most=100_000):
    return asyncio.run(asyncio.wait_for(inbox.take(most), DEADLINE_S))


def named(name):
    return lambda i: f"{name} {i}"


def test_small_batches_that_come_at_once_are_one(inbox):
    for i in range(5):
        put(inbox, Batch([i, -i], receipts=(f"r{i}", f"s{i}"), origin=named(f"file{i}")))
    assert inbox.elements == 10
    chunk = taken(inbox)
    assert len(chunk.parts) == 1
    assert chunk.items() == [0, 0, 1, -1, 2, -2, 3, -3, 4, -4]
    assert chunk.receipts(frozenset({3})) == [
        *("r0", "s0", "r1", "r2", "s2", "r3", "s3", "r4", "s4")
    ]
    found = [batch.origin(k) for batch, k in map(chunk.find, range(10))]
    assert found == [f"file{i} {k}" for i in range(5) for k in range(2)]
    (batch, _, _) = chunk.parts[0]
    assert batch.part(5, 7).origin(0) == "file2 1"
    assert batch.for_retry(6).receipts == ["r3"]


@pytest.mark.parametrize(
    "other",
    [
        Batch([1]),
        Batch([1], receipts=["r"], origin=named("x")),
        Batch([1], receipts=["r", "too many"]),
        Batch([1], receipts=[]),
        Batch(list(range(JOINED))),
    ],
)
def test_batches_of_another_form_stay_apart(inbox, other):
    put(inbox, Batch([0], receipts=["a"]))
    put(inbox, other)
    put(inbox, Batch([2], receipts=["b"]))
    assert [batch.items for batch, _, _ in taken(inbox).parts] == [[0], other.items, [2]]


def test_what_comes_later_is_not_told_as_if_it_came_before(inbox):
    for now in (0.0, 0.6 * JOINED_S, 1.1 * JOINED_S, 1.2 * JOINED_S):
        put(inbox, Batch([now]), now)
    found = [(batch.pulled_at, len(batch.items)) for batch, _, _ in taken(inbox).parts]
    assert found == [(0.0, 2), (1.1 * JOINED_S, 2)]


def test_a_joined_batch_is_bounded(inbox):
    for i in range(3 * JOINED):
        put(inbox, Batch([i]))
    parts = taken(inbox).parts
    assert [end for _, _, end in parts] == [JOINED] * 3


def test_what_is_taken_does_not_grow(inbox):
    put(inbox, Batch([1, 2]))
    first = taken(inbox, 1)
    put(inbox, Batch([3]))
    assert (first.items(), taken(inbox).items()) == ([1], [2, 3])
    put(inbox, Batch([4]))
    second = taken(inbox)
    put(inbox, Batch([5]))
    assert (second.items(), inbox.elements) == ([4], 1)


def test_what_is_tried_again_stays_apart(inbox):
    put(inbox, Batch([1]))
    inbox.put(PulledBatch([2], None, None, 0.0, tries=1))
    put(inbox, Batch([3]))
    parts = taken(inbox).parts
    assert [(batch.items, batch.tries) for batch, _, _ in parts] == [([1], 0), ([2], 1), ([3], 0)]


def test_a_sources_own_lists_stay_as_they_are(inbox):
    items, receipts = [1], ["r"]
    put(inbox, Batch(items, receipts))
    put(inbox, Batch([2], ["s"]))
    assert (items, receipts) == ([1], ["r"])


def test_what_is_left_is_all_of_it(inbox):
    put(inbox, Batch([1, 2, 3]))
    taken(inbox, 1)
    put(inbox, Batch([4]))
    assert [chunk.items() for chunk in inbox.clear()] == [[2, 3], [4]]
    put(inbox, Batch([5]))
    assert taken(inbox).items() == [5]
