"""The peers that the policy is measured against do what their documents, or their tests, say."""

from __future__ import annotations

import pytest

from buildflow_nb.core.options import ConsumerOptions
from buildflow_nb.runtime.autoscale.sample import LOOK_S, Sample
from tests.autoscale.rules import Serves, buildflow_wanted


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        ({"n": 2, "t": 10, "b": 1_000, "cpu": 50, "pulls": 10}, 4),
        ({"n": 4, "t": 1e5, "b": 0, "cpu": 20, "pulls": 10}, 3),
        ({"n": 4, "t": 0, "b": 0, "cpu": 0, "pulls": 0}, 5),
        ({"n": 3, "t": 10, "b": 0, "cpu": 5, "pulls": 1}, 1),
        ({"n": 4, "t": 4_000, "b": 0, "cpu": 30, "pulls": 1, "grew": (50_000, 60.0)}, 5),
        ({"n": 4, "t": 4_000, "b": 0, "cpu": 20, "pulls": 1, "grew": (50_000, 60.0)}, 4),
    ],
)
def test_buildflow_as_its_own_tests_say(seen, wanted):
    assert buildflow_wanted(**seen) == wanted


def test_serve_goes_up_after_half_a_minute_and_down_after_ten():
    rule = Serves(ConsumerOptions(), 40)
    wanted, seen = 1, []
    for look in range(200):
        backlog = 8 if look < 40 else 0
        sample = Sample(look * LOOK_S, wanted, backlog=backlog)
        wanted = rule.wanted(sample, wanted, cpu=50.0)
        seen.append(wanted)
    assert seen[:6] == [1, 1, 1, 1, 1, 4]
    assert seen[45:160] == [4] * 115
    assert seen[-1] < 4
