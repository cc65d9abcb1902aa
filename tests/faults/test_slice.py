"""A small, seeded slice of `make faults`: every element is counted."""

from __future__ import annotations

import random

import pytest

from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.faults.collectors import collector_killed
from tests.faults.consumers import Kills, killed
from tests.faults.disks import full
from tests.faults.ground import Ground
from tests.faults.messages import poisoned
from tests.faults.networks import through
from tests.faults.strangers import strangers
from tests.faults.tally import Tally, table

SEED = 20
FEW = Kills(elements=600, kills=2)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder for all of them, with a local cloud if one asks for it."""
    folder = tmp_path_factory.mktemp("faults")
    yield folder
    stop_cloud(folder)


@pytest.fixture(scope="module")
def endpoints(project):
    return dict(start_cloud(project).endpoints)


def judge(tally: Tally) -> None:
    assert tally.verdict == "ok", table([tally])


@pytest.mark.parametrize(
    ("feed", "sink"),
    [("jsonl", "keyed"), ("csv", "jsonl"), ("parquet", "csv"), ("files", "duckdb")],
)
def test_consumers_of_files_are_killed(feed, sink, project):
    judge(killed(feed, sink, Ground(project, random.Random(SEED)), FEW))


@pytest.mark.emulator
def test_a_consumer_of_a_queue_is_killed(project, endpoints):
    judge(killed("sqs", "parquet", Ground(project, random.Random(SEED), endpoints), FEW))


def test_a_collector_is_killed_under_its_clients(project):
    judge(collector_killed("jsonl", Ground(project, random.Random(SEED)), 2, 40))


def test_a_disk_is_full_for_a_while(project):
    judge(full("jsonl", 3_000, Ground(project, random.Random(SEED))))


@pytest.mark.emulator
def test_a_slow_network_is_no_empty_queue(project, endpoints):
    judge(through("sqs", "slow", 10, Ground(project, random.Random(SEED), endpoints)))


def test_poison_is_kept_and_its_neighbours_arrive(project):
    judge(poisoned("jsonl", 400, Ground(project, random.Random(SEED))))


def test_strangers_stop_nothing_and_nobody_hears_of_them(project):
    judge(strangers(600, Ground(project, random.Random(SEED))))


def test_what_is_lost_or_repeated_is_seen():
    assert Tally.of("lost", 1, range(3), [0, 2]).verdict == "LOST"
    assert Tally.of("kept", 1, range(3), [0, 2], kept=[1]).verdict == "ok"
    assert Tally.of("twice", 1, range(2), [0, 1, 1], allowed=0).verdict == "more than 0 repeated"
    assert Tally.of("odd", 1, range(2), [0, 1, 7]).verdict.startswith("1 elements that nobody sent")
