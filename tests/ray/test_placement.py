"""What an actor waits for is told as a person can mend it."""

from __future__ import annotations

import pytest

from buildflow_nb.runtime.ray.messages import Machine
from buildflow_nb.runtime.ray.placement import has_room, impossible, lacking
from buildflow_nb.runtime.replicas.host import Wants


def machine(free: float, total: float = 4.0, *, here: bool = False, memory: float = 8e9) -> Machine:
    return Machine("m", {"CPU": total, "memory": 8e9}, {"CPU": free, "memory": memory}, here)


@pytest.mark.parametrize(
    ("wants", "machines", "said"),
    [
        (Wants(), [machine(1)], ""),
        (Wants(0.1), [machine(0.09999999)], ""),  # Ray counts in ten thousandths
        (Wants(), [], "the cluster has no machine"),
        (Wants(), [machine(0), machine(0.5)], "needs 1 CPU, the cluster has 0.5 of 8 free"),
        (
            Wants(2),
            [machine(1), machine(1)],
            "needs 2 CPUs on one machine, the cluster has 2 of 8 free",
        ),
        (Wants(here=True), [machine(0, here=True), machine(4)], "needs 1 CPU, this machine has 0"),
        (Wants(8), [machine(4)], "needs 8 CPUs, no machine of the cluster has more than 4"),
        (Wants(8, here=True), [machine(4, here=True), machine(9, 9)], "needs 8 CPUs, this machine"),
        (Wants(num_gpus=1), [machine(4)], "needs 1 GPU, no machine of the cluster has more than 0"),
        (
            Wants(memory=4 * 10**9),
            [machine(4, memory=1e9)],
            "needs 4.0 GB of memory, the cluster has 1.0 of 8.0 free",
        ),
    ],
)
def test_what_is_lacking(wants, machines, said):
    assert lacking(wants, machines).startswith(said)
    assert bool(lacking(wants, machines)) == bool(said)
    assert has_room(wants, machines) == (not said)


def test_what_this_machine_will_never_have_is_not_waited_for():
    machines = [machine(0, here=True), machine(9, 9)]
    assert impossible(Wants(8, here=True), machines) == "needs 8 CPUs, this machine has 4"
    assert impossible(Wants(4, here=True), machines) == ""
    assert impossible(Wants(12), machines) == ""  # a machine may join
    assert impossible(Wants(8, here=True), []) == ""
