"""Leases: those of the living count, whole or not at all; those of the dead are removed."""

from __future__ import annotations

import json
import os
import threading

from buildflow_nb.local_cloud.lease import living_leases, take_lease
from buildflow_nb.local_cloud.record import process_at


def test_a_process_has_one_lease_however_often_it_takes_it(tmp_path):
    take_lease(tmp_path)
    path = tmp_path / "leases" / str(os.getpid())
    first = path.stat()
    take_lease(tmp_path)
    assert living_leases(tmp_path) == [os.getpid()]
    assert process_at(path).pid == os.getpid()
    assert os.path.samestat(path.stat(), first), "what is there is not written again"
    assert [found.name for found in tmp_path.iterdir()] == ["leases"]


def test_one_that_is_counted_while_it_is_taken_is_kept(tmp_path):
    done = threading.Event()

    def count():
        while not done.is_set():
            living_leases(tmp_path)

    counting = threading.Thread(target=count)
    counting.start()
    try:
        for _ in range(300):
            (tmp_path / "leases" / str(os.getpid())).unlink(missing_ok=True)
            take_lease(tmp_path)
            assert living_leases(tmp_path) == [os.getpid()]
    finally:
        done.set()
        counting.join(10)


def test_those_of_the_dead_and_what_is_damaged_are_removed(tmp_path):
    take_lease(tmp_path)
    folder = tmp_path / "leases"
    (folder / "1").write_text(json.dumps({"process": {"pid": os.getpid(), "began": 0.0}}))
    (folder / "2").write_text("")
    assert living_leases(tmp_path) == [os.getpid()]
    assert [path.name for path in folder.iterdir()] == [str(os.getpid())]


def test_none_before_the_first(tmp_path):
    assert living_leases(tmp_path) == []
