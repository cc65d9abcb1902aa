"""What a history of counts holds."""

import pytest

from buildflow_nb.core.status.snapshot import HISTORY_S
from buildflow_nb.runtime.observability.metrics import Rate


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (10.2, ()),  # its first second is under way
        (11.9, (5,)),
        (12.1, (5, 3)),
        (13.0, (5, 3, 0)),
        (11 + HISTORY_S, (3, *(0,) * (HISTORY_S - 1))),
    ],
)
def test_a_history_ends_before_the_second_under_way(now, found):
    rate = Rate()
    rate.add(5, 10.0)
    if now > 11:
        rate.add(3, 11.5)
    if now < 12:
        found = found[:1]
    assert rate.history(now) == found
