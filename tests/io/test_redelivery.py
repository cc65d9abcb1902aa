"""How long what failed waits before it is delivered again."""

from __future__ import annotations

from buildflow_nb.io.redelivery import LONGEST_S, REMEMBERED, Pauses


def test_they_grow_up_to_some_minutes():
    pauses = Pauses()
    found = [pauses.after_failure("a") for _ in range(12)]
    assert found == [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST_S, LONGEST_S, LONGEST_S]
    assert pauses.after_failure("b") == 1


def test_failures_before_this_run_count_up_to_half_a_minute():
    assert [Pauses().after_failure("a", times) for times in (0, 1, 2, 4, 6, 1000)] == [
        1,
        1,
        2,
        8,
        32,
        32,
    ]
    pauses = Pauses()
    assert [pauses.after_failure("a", times) for times in (3, 9, 10)] == [4, 8, 16]


def test_what_is_done_begins_anew():
    pauses = Pauses()
    pauses.after_failure("a")
    pauses.forget(["a", "unknown"])
    assert pauses.after_failure("a") == 1


def test_no_more_are_remembered_than_a_bound():
    pauses = Pauses()
    for i in range(REMEMBERED + 1):
        pauses.after_failure(str(i))
    assert pauses.after_failure("1") == 2
    assert pauses.after_failure("0") == 1
