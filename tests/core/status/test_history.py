"""Rows of what a processor has done: packed, laid together, and cut."""

from __future__ import annotations

import math

import pytest

from buildflow_nb.core.status.history import COARSE_S, ROW_BYTES, History, Row, Rows

START = 1_700_000_000  # a multiple of ten


def rows(*found: Row) -> Rows:
    made = Rows()
    for row in found:
        made.add(row)
    return made


def fine(first: int, count: int, taken: int = 1) -> Rows:
    return rows(*(Row(START + first + i, taken=taken) for i in range(count)))


def coarse(first: int, count: int, taken: int = 10, seconds: int = COARSE_S) -> Rows:
    steps = range(first, first + count * COARSE_S, COARSE_S)
    return rows(*(Row(START + at, seconds, taken=taken) for at in steps))


def test_what_is_packed_comes_back_as_it_was():
    made = rows(
        Row(START, 1, 2**32 - 1, 3, 4, 0.5, 2.25, 2**40, 7),
        Row(START + 3_600, 255),
        Row(START + 3_601, 1, backlog=0),
    )
    found = list(Rows.unpacked(made.packed(), 3))
    assert found[0] == Row(START, 1, 2**32 - 1, 3, 4, 0.5, 2.25, 2**40, 7)
    assert math.isnan(found[1].p50_s)
    assert [(row.at, row.backlog) for row in found[1:]] == [(START + 3_600, -1), (START + 3_601, 0)]
    assert len(Rows.unpacked(Rows().packed(), 0)) == 0


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_not_of_so_many_rows_is_refused(count):
    with pytest.raises(ValueError, match="rows"):
        Rows.unpacked(fine(0, 2).packed(), count)


def test_what_was_never_packed_is_refused():
    with pytest.raises(ValueError, match="header"):
        Rows.unpacked(b"garbage", 1)


def test_a_day_of_a_processor_that_idles_takes_next_to_nothing():
    day = coarse(0, 8_640, taken=0)
    assert len(day.packed()) < 2_000 < 8_640 * ROW_BYTES


def test_rows_of_one_step_are_added_up_and_put_in_order():
    one = rows(Row(START + 10, 10, 5, 4, 1, 0.5, 1.0, 7, 2), Row(START + 30, 10, 1))
    other = rows(Row(START + 10, 4, 6, 6, 0, 0.25, 2.0, -1, 3), Row(START, 10, 9))
    found = list(Rows.joined([one, other]))
    assert [row.at - START for row in found] == [0, 10, 30]
    assert found[1] == Row(START + 10, 10, 11, 10, 1, 0.5, 2.0, 7, 3)


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [
        (10, [0, 10, 20]),  # all of the step was seen, and not all of it by the second
        (4, [0, 16, 17, 18, 19, 20]),  # it began in the middle of the step
    ],
)
def test_no_second_is_in_two_rows(seconds, steps):
    before = rows(Row(START, 10, 10), Row(START + 10, seconds, seconds))
    history = History("price", fine(16, 5), rows(*before, Row(START + 20, 1, 1)))
    found = history.rows()
    assert [row.at - START for row in found] == steps
    assert sum(row.taken for row in found) == 11 + seconds


def test_coarse_rows_alone_are_given_where_seconds_are_not_wanted():
    history = History("price", fine(0, 23), rows(*coarse(0, 2), Row(START + 20, 3, 3)))
    assert [(row.at - START, row.taken) for row in history.rows(fine=False)] == [
        (0, 10),
        (10, 10),
        (20, 3),
    ]


def test_since_leaves_out_what_was_before():
    history = History("price", fine(100, 5), coarse(0, 10))
    assert [row.at - START for row in history.rows(START + 90)] == [90, 100, 101, 102, 103, 104]
    assert [row.at - START for row in history.rows(START + 103)] == [103, 104]
    assert history.ends_at == START + 105
    assert History("idle").ends_at is None
