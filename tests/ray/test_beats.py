"""How often actors are told that their host works."""

from __future__ import annotations

from buildflow_nb.runtime.ray.actors import BEAT_LATE_S, BEAT_S, BEATS_PER_S, beat_every_s
from buildflow_nb.runtime.replicas.host import FENCE_S


def test_many_actors_hear_their_host_in_time_and_cost_the_driver_no_more():
    assert beat_every_s(1) == beat_every_s(100) == BEAT_S
    assert 300 / beat_every_s(300) == BEATS_PER_S
    assert max(map(beat_every_s, range(0, 100_000, 100))) + BEAT_LATE_S < FENCE_S
