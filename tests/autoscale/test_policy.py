"""The policy, by worked values: what it sees, what it wants, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from buildflow_nb.core.options import ConsumerOptions, ServiceOptions
from buildflow_nb.runtime.autoscale.policy import Decision, decide, kept_s
from buildflow_nb.runtime.autoscale.sample import LOOK_S, Sample

DEFAULTS = ConsumerOptions()
MANY = 100


def looks(count: int, *, after: Sequence[Sample] = (), **seen) -> list[Sample]:
    """So many looks that see the same, after others."""
    begin = after[-1].at_s + LOOK_S if after else 0.0
    same = {"replicas": 2, "backlog": 0, "out_per_s": 10.0, "busy": 1.0} | seen
    return [*after, *(Sample(at_s=begin + LOOK_S * i, **same) for i in range(count))]


def of(history: Sequence[Sample], options=DEFAULTS, now: int = 2, *, most: int = MANY) -> Decision:
    return decide(history, options, now, most=most)


# -- up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "out_per_s", "backlog", "wanted", "why"),
    [
        # one does 5/s: 10/s and 1,000 in a minute need (10 + 1000/60) / 5 = 5.3, but twice at most
        (2, 10.0, 1_000, 4, "2 → 4: backlog 1,000 would take 100 s"),
        (2, 10.0, 1_200, 4, "2 → 4: backlog 1,200 would take 2 min"),
        # (40 + 400/60) / 10 = 4.7, and to spare a fifth 40 / (0.8 * 10) = 5
        (4, 40.0, 400, 5, "4 → 5: 40 elements/s arrive, and one replica does 10 elements/s"),
        # (40 + 1200/60) / 10 = 6
        (4, 40.0, 1_200, 6, "4 → 6: backlog 1,200 would take 30 s"),
        # (1 + 90,000/60) / 0.25 is far more than twice as many
        (4, 1.0, 90_000, 8, "4 → 8: backlog 90,000 would take 25 h"),
    ],
)
def test_a_backlog_wants_as_many_as_work_it_off_in_a_minute(
    replicas, out_per_s, backlog, wanted, why
):
    history = looks(12, replicas=replicas, out_per_s=out_per_s, backlog=backlog)
    assert of(history, now=replicas) == Decision(wanted, why)


def test_the_time_in_which_a_backlog_is_to_be_gone_is_an_option():
    history = looks(12, replicas=4, out_per_s=40.0, backlog=1_200)
    assert of(history, ConsumerOptions(consumer_backlog_burn_threshold=10), now=4).wanted == 8
    assert of(history, ConsumerOptions(consumer_backlog_burn_threshold=600), now=4).wanted == 5


def test_what_a_backlog_grows_by_has_arrived():
    # BuildFlow wants 5 here, which are busy all of their time: 4,000/s done, and 50,000 more in a
    # minute, are 4,833/s; with a fifth to spare that is 6.04 of 1,000/s.
    grows = [
        replace(one, backlog=round(one.at_s * 50_000 / 60))
        for one in looks(13, replicas=4, out_per_s=4_000.0)
    ]
    said = "4 → 7: 4,833 elements/s arrive, and one replica does 1,000 elements/s"
    assert of(grows, now=4) == Decision(7, said)


def test_one_look_is_not_enough_unless_the_backlog_is_far_too_long():
    calm = looks(12, busy=0.5)
    assert of(looks(1, after=calm, backlog=400)).wanted == 2
    assert of(looks(2, after=calm, backlog=400)).wanted > 2
    assert of(looks(1, after=calm, backlog=4_000)).wanted == 4


def test_the_smaller_of_two_looks_counts():
    one = looks(12, replicas=10, out_per_s=100.0, backlog=2_400)
    both = looks(1, after=one, replicas=10, out_per_s=100.0, backlog=6_000)
    assert of(looks(1, after=one, replicas=10, out_per_s=100.0, backlog=2_400), now=10).wanted == 14
    assert of(both, now=10).wanted == 14


def test_busy_workers_are_the_only_sign_of_a_source_that_cannot_tell():
    said = "2 → 3: its workers are busy 95% of the time"
    assert of(looks(2, backlog=None, busy=0.95)) == Decision(3, said)  # 2 * 0.95 / 0.7 = 2.7
    assert of(looks(2, backlog=None, busy=0.75)).wanted == 2  # 2.14: not worth one more


def test_what_one_can_do_is_learnt_over_a_minute():
    fast = looks(6, backlog=600, out_per_s=20.0)
    both = looks(6, after=fast, backlog=600, out_per_s=10.0)
    assert of(both).wanted == 3  # (10 + 600/60) / 7.5; of the last half minute alone, 4


def test_processes_that_pull_slowly_do_what_they_can_though_they_are_idle():
    assert of(looks(12, backlog=600, busy=0.3)).wanted == 4  # (10 + 600/60) / 5


def test_no_more_are_wanted_than_there_may_be():
    history = looks(12, backlog=4_000)
    assert of(history, ConsumerOptions(max_replicas=3)).wanted == 3
    at_most = of(history, most=2)
    assert at_most.wanted == 2
    assert at_most.why == (
        "backlog 4,000 would take 7 min; there are no more than 2 replicas to be had"
    )
    alone = of(looks(12, replicas=1, backlog=4_000), now=1, most=1)
    assert alone.why.endswith("there are no more than 1 replica to be had")


def test_none_are_asked_for_while_some_are_starting():
    history = looks(12, backlog=4_000)
    assert of(history, now=4) == Decision(4, "2 of 4 replicas are starting")


def test_bounds_hold_whatever_is_seen():
    assert of([], ConsumerOptions(num_replicas=3, min_replicas=3)) == Decision(
        3, "2 → 3: at least 3"
    )
    assert of(looks(3), ConsumerOptions(max_replicas=1)) == Decision(1, "2 → 1: at most 1")
    assert of([]) == Decision(2)


# -- never up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"sink_waits": True}, "its sink cannot be written, so more replicas would not help"),
        (
            {"busy": 0.2, "push": 0.8},
            "it waits for its sink, so more replicas would not help",
        ),
        ({"faults": 1.0}, "most elements fail, so more replicas would not help"),
        ({"held": "the cluster has no CPU free"}, "the cluster has no CPU free"),
    ],
)
def test_where_more_would_not_help_there_are_no_more(seen, why):
    assert of(looks(12, backlog=9_000, **seen)) == Decision(2, why)


def test_half_of_the_elements_may_fail():
    assert of(looks(12, backlog=9_000, faults=0.5)).wanted == 4


def test_threads_that_wait_for_the_source_are_enough():
    history = looks(12, backlog=9_000, busy=0.1)
    made = decide(history, DEFAULTS, 2, most=MANY, own_pulls=False)
    assert made == Decision(2, "its workers wait for the source, so more of them would not help")
    assert of(history).wanted == 4  # each process pulls for itself


def test_the_cpu_target_is_taken_and_is_no_sign():
    history = looks(12, backlog=1_000)
    targets = (0, 25, 100)
    made = {of(history, ConsumerOptions(consumer_cpu_percent_target=each)) for each in targets}
    assert len(made) == 1


# -- steps up that bring nothing -----------------------------------------------------------------


def stepped(gain: float, looks_after: int, backlog: int = 9_000) -> list[Sample]:
    """From two replicas to four, which do so much more (1: twice as much)."""
    before = looks(12, backlog=backlog)
    return looks(
        looks_after, after=before, replicas=4, backlog=backlog, out_per_s=10.0 * (1 + gain)
    )


def test_a_step_that_brought_nothing_is_taken_back():
    said = "4 → 2: 4 did no more than 2, so something else is the limit"
    assert of(stepped(0.0, 7), now=4) == Decision(2, said)
    assert of(stepped(0.1, 7), now=4).wanted == 2
    assert of(stepped(1.0, 7), now=4).wanted == 8


def test_few_elements_tell_later_that_a_step_brought_nothing():
    def slow(looks_after: int) -> list[Sample]:
        return [replace(one, out_per_s=0.1) for one in stepped(0.0, looks_after)]

    assert of(slow(6), now=4).wanted == 4
    assert of(slow(7), now=4).wanted == 2


def test_the_next_step_waits_until_the_last_one_is_seen_to_bring_something():
    soon = of(stepped(0.0, 1), now=4)
    assert soon.wanted == 4
    assert soon.why.endswith("what the last step brings is not seen yet")
    assert of(stepped(1.0, 2), now=4).wanted == 8


def test_it_is_tried_again_after_ten_minutes():
    tried = stepped(0.0, 7)
    soon = of(looks(60, after=tried, backlog=9_000))
    assert soon.wanted == 2
    assert soon.why.endswith("but more than 2 replicas brought nothing")
    assert of(looks(125, after=tried, backlog=9_000)).wanted == 4


def test_where_there_was_less_to_do_a_step_was_not_in_vain():
    before = looks(12, busy=0.95, backlog=None)
    after = looks(12, after=before, replicas=4, busy=0.48, backlog=None)
    assert of(after, now=4).wanted == 4


# -- down ----------------------------------------------------------------------------------------


def test_down_after_five_minutes_in_which_fewer_would_have_done():
    idle = {"replicas": 4, "busy": 0.1, "out_per_s": 4.0}  # one does 10/s
    assert of(looks(55, **idle), now=4).wanted == 4
    assert of(looks(62, **idle), now=4) == Decision(
        1, "4 → 1: 1 replica would have done for a while"
    )


def test_one_busy_look_of_the_last_five_minutes_keeps_what_it_needed():
    idle = {"replicas": 4, "busy": 0.1, "out_per_s": 4.0}
    wave = looks(10, after=looks(62, **idle), replicas=4, busy=0.6, out_per_s=24.0)
    later = looks(30, after=wave, **idle)
    assert of(later, now=4).wanted == 3  # 24 / (0.8 * 10)
    assert of(looks(70, after=later, **idle), now=4).wanted == 1


def test_what_was_for_a_backlog_alone_goes_after_a_minute():
    working = [
        replace(one, backlog=30_000 - round(one.at_s * 80))
        for one in looks(76, replicas=8, out_per_s=80.0)
    ]
    assert working[-1].backlog == 0
    idle = {"replicas": 8, "busy": 0.05, "out_per_s": 4.0}
    # a minute ago 1,600 waited, for which 1,600 / 60 / 10 = 2.7 would have done
    assert of(looks(8, after=working, **idle), now=8).wanted == 3
    assert of(looks(14, after=working, **idle), now=8).wanted == 1  # 4 / (0.8 * 10)


def test_down_waits_five_times_as_long_as_the_option_says():
    idle = {"replicas": 4, "busy": 0.1, "out_per_s": 4.0}
    slow = ConsumerOptions(autoscale_frequency_secs=120)
    assert of(looks(62, **idle), slow, now=4).wanted == 4
    assert of(looks(122, **idle), slow, now=4).wanted == 1
    assert of(looks(8, **idle), ConsumerOptions(autoscale_frequency_secs=5), now=4).wanted == 1
    assert kept_s(ConsumerOptions(autoscale_frequency_secs=10**6)) < 2 * 3600


def test_not_down_while_the_sink_waits():
    history = looks(62, replicas=4, busy=0.0, out_per_s=0.0, sink_waits=True)
    assert of(history, now=4).wanted == 4


def test_to_none_and_up_again_with_the_first_element():
    none = ConsumerOptions(min_replicas=0)
    idle = looks(62, replicas=1, busy=0.0, out_per_s=0.0)
    assert of(idle, none, now=1).wanted == 0
    assert of(idle, now=1).wanted == 1
    asleep = looks(5, after=idle, replicas=0, busy=0.0, out_per_s=0.0)
    assert of(asleep, none, now=0) == Decision(0)
    woken = looks(1, after=asleep, replicas=0, busy=0.0, out_per_s=0.0, backlog=1)
    assert of(woken, none, now=0) == Decision(1, "0 → 1: 1 element waits")


def test_who_cannot_tell_that_something_waits_keeps_one():
    none = ConsumerOptions(min_replicas=0)
    idle = looks(62, replicas=1, busy=0.0, out_per_s=0.0, backlog=None)
    assert of(idle, none, now=1).wanted == 1
    fronts = ServiceOptions(min_replicas=0)
    assert of(looks(62, replicas=1), fronts, now=1).wanted == 1


# -- fronts --------------------------------------------------------------------------------------


def test_fronts_have_as_many_as_requests_under_way_need():
    options = ServiceOptions(target_num_ongoing_requests_per_replica=4)
    busy = looks(8, in_flight=14)
    assert of(busy, options) == Decision(4, "2 → 4: 14 requests are under way")  # 14 / 4 = 3.5
    assert of(looks(8, in_flight=9), options).wanted == 2  # 2.25: not worth one more
    assert of(looks(70, in_flight=3), options).wanted == 1
    assert of(looks(8, in_flight=14, held="no CPU is free"), options) == Decision(
        2, "no CPU is free"
    )
