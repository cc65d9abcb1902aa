"""A log that a process writes to stays bounded, and the process goes on writing to it."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud import supervisor
from buildflow_nb.local_cloud.supervisor import bound, bound_all


@pytest.fixture(autouse=True)
def _ten_bytes(monkeypatch):
    monkeypatch.setattr(supervisor, "LOG_BYTES", 10)


def test_a_log_that_is_open_is_emptied_and_written_to_from_its_start(tmp_path):
    path = tmp_path / "aws.log"
    with path.open("ab", buffering=0) as held:
        held.write(b"0123456789abc")
        bound(path)
        assert path.read_bytes() == b""
        assert (tmp_path / "aws.old.log").read_bytes() == b"3456789abc"
        held.write(b"more")
    assert path.read_bytes() == b"more"


def test_a_log_within_its_bound_is_left_alone(tmp_path):
    path = tmp_path / "aws.log"
    path.write_bytes(b"0123456789")
    bound(path)
    bound(tmp_path / "none.log")
    assert path.read_bytes() == b"0123456789"
    assert [found.name for found in tmp_path.iterdir()] == ["aws.log"]


def test_every_log_is_bounded_and_what_is_kept_of_one_is_kept(tmp_path):
    for name in ("aws.log", "cloud.log", "cloud.old.log"):
        (tmp_path / name).write_bytes(b"of the last time, " + name.encode())
    bound_all(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "aws.log": b"",
        "aws.old.log": b"e, aws.log",
        "cloud.log": b"",
        "cloud.old.log": b" cloud.log",
    }


def test_where_there_is_no_room_for_a_copy_it_is_emptied_all_the_same(tmp_path):
    path = tmp_path / "aws.log"
    path.write_bytes(b"0123456789abc")
    (tmp_path / "aws.old.log").mkdir()
    bound(path)
    assert path.read_bytes() == b""
