"""A cloud that has lost its record, its lock, its folder, its place: found, ended, or explained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import psutil
import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.local_cloud import client, supervisor
from buildflow_nb.local_cloud.client import (
    cloud_status,
    find_cloud,
    reset_cloud,
    start_cloud,
    stop_cloud,
)
from buildflow_nb.local_cloud.folder import FolderLock, keeper, make_folder
from buildflow_nb.local_cloud.record import FORMAT, local_folder
from buildflow_nb.local_cloud.steer import steer
from tests.local_cloud.running import descendants, project, sqs, until

__all__ = ("project",)  # a fixture

pytestmark = pytest.mark.emulator
SOON_S = 15.0  # far less than the minute that a start may take


@pytest.fixture
def other():
    """A living process that is none of the cloud's."""
    words = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        yield ProcessId(process.pid, psutil.Process(process.pid).create_time())


@pytest.mark.parametrize("text", [None, "{ damaged"])
def test_a_record_that_is_lost_is_written_again(project, text):
    record = start_cloud(project)
    path = local_folder(project) / "cloud.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    began = time.monotonic()
    assert start_cloud(project) == record
    assert time.monotonic() - began < SOON_S


def test_one_without_a_record_is_found_and_stopped(project):
    record = start_cloud(project)
    os.kill(record.process.pid, signal.SIGSTOP)
    (local_folder(project) / "cloud.json").unlink()
    try:
        told = steer(project, "status")
        assert f"is kept by process {record.process.pid}, which does not say where it is" in told
        os.kill(record.process.pid, signal.SIGTERM)  # taken once it goes on
    finally:
        os.kill(record.process.pid, signal.SIGCONT)
    assert stop_cloud(project)
    assert keeper(local_folder(project)) is None
    assert not stop_cloud(project)


def test_one_that_does_not_answer_is_named(project, monkeypatch):
    monkeypatch.setattr(client, "ANSWER_S", 0.5)
    record = start_cloud(project)
    monkeypatch.setattr(client, "START_S", 0.5)
    os.kill(record.process.pid, signal.SIGSTOP)
    try:
        (local_folder(project) / "cloud.json").unlink()
        with pytest.raises(InfraError, match=rf"process {record.process.pid} holds the lock of "):
            start_cloud(project)
    finally:
        os.kill(record.process.pid, signal.SIGCONT)
    until(lambda: find_cloud(project) == record, "it tells again where it is")


def test_only_one_that_may_be_starting_is_waited_for_long():
    now = time.time()
    assert client._patience(None) == client.START_S
    assert client._patience(ProcessId(1, now - client.START_S / 2)) == client.START_S
    assert client._patience(ProcessId(1, now - client.START_S * 2)) == client.ANSWER_S


@pytest.mark.parametrize("told", [[], [signal.SIGTERM]])
def test_one_whose_folder_was_removed_ends_and_leaves_the_next_alone(project, told):
    old = start_cloud(project)
    sqs(old).create_queue(QueueName="forgotten")
    left = [psutil.Process(old.process.pid), *descendants(old)]
    os.kill(old.process.pid, signal.SIGSTOP)  # the next one is ready before it sees anything
    shutil.rmtree(project / ".buildflow")
    new = start_cloud(project)
    files = [local_folder(project) / name for name in ("cloud.json", "children.json")]
    before = [path.stat() for path in files]
    for which in (*told, signal.SIGCONT):
        os.kill(old.process.pid, which)
    assert psutil.wait_procs(left, timeout=SOON_S)[1] == []
    assert all(map(os.path.samestat, before, (path.stat() for path in files)))
    assert find_cloud(project) == new
    noted = json.loads(files[1].read_text())
    assert noted["process"] == asdict(new.process)
    assert {child["pid"] for child in noted["children"]} == {p.pid for p in descendants(new)}
    assert sqs(new).list_queues().get("QueueUrls", []) == []


def test_one_whose_folder_was_removed_ends_though_it_is_used(project):
    record = start_cloud(project)
    left = [psutil.Process(record.process.pid), *descendants(record)]
    shutil.rmtree(project / ".buildflow")
    assert psutil.wait_procs(left, timeout=SOON_S)[1] == []
    assert not (project / ".buildflow").exists()


def test_one_whose_lock_was_removed_gives_way_with_its_state(project):
    old = start_cloud(project)
    sqs(old).create_queue(QueueName="kept")
    (local_folder(project) / "lock").unlink()
    (local_folder(project) / "cloud.json").unlink()
    new = start_cloud(project)
    until(lambda: not old.process.alive(), "the old one ended")
    assert find_cloud(project) == new
    (url,) = sqs(new).list_queues()["QueueUrls"]
    assert url.endswith("/kept")


def test_one_that_was_about_to_end_is_followed_by_another(project, monkeypatch):
    """The second supervisor finds the lock held and ends; then its holder ends too."""
    folder = make_folder(project)
    spawn, spawned, found = client._spawn, [], []

    def seen(where):
        spawned.append(spawn(where))
        return spawned[-1]

    monkeypatch.setattr(client, "_spawn", seen)
    starting = threading.Thread(target=lambda: found.append(start_cloud(project)))
    with FolderLock(folder) as lock:
        assert lock.take()
        starting.start()
        until(lambda: spawned and spawned[0].returncode == 0, "it found the lock held")
    starting.join(SOON_S)
    assert found == [find_cloud(project)]
    assert found != [None]


def of_another_version(folder, process: ProcessId, told_format: object = 0) -> None:
    folder.mkdir(parents=True)
    told = {"format": told_format, "process": asdict(process), "endpoints": {}, "providers": {}}
    (folder / "cloud.json").write_text(json.dumps(told))


# what versions wrote whose clouds started their parts by modules of other names
@pytest.mark.parametrize("told_format", [0, 1, FORMAT.replace("local_cloud", "infra.local_cloud")])
def test_one_of_another_version_is_replaced(project, other, caplog, told_format):
    of_another_version(local_folder(project), other, told_format)
    assert f"runs as process {other.pid}, of another version" in steer(project, "status")
    began = time.monotonic()
    record = start_cloud(project)
    assert time.monotonic() - began < SOON_S
    assert record.process != other
    assert not other.alive()
    assert "is of another version and is started again" in caplog.text


def test_one_of_another_version_that_is_used_is_left_to_its_users(project, other):
    folder = local_folder(project)
    of_another_version(folder, other)
    (folder / "leases").mkdir()
    (folder / "leases" / str(other.pid)).write_text(json.dumps({"process": asdict(other)}))
    with pytest.raises(InfraError, match=rf"another version .*process {other.pid}\); end"):
        start_cloud(project)
    assert other.alive()


def test_reset_prevails_over_a_process_that_starts_it_again(project, monkeypatch):
    sqs(start_cloud(project)).create_queue(QueueName="forgotten")
    stops = []

    def started_again_once(found):
        stops.append(stop_cloud(found))
        if len(stops) == 1:
            start_cloud(found)

    monkeypatch.setattr(client, "stop_cloud", started_again_once)
    reset_cloud(project)
    assert stops == [True, True]
    assert sqs(start_cloud(project)).list_queues().get("QueueUrls", []) == []


def test_a_log_is_bounded_while_it_is_written(project):
    start_cloud(project)
    logs = local_folder(project) / "logs"
    for name in ("aws", "cloud"):
        with (logs / f"{name}.log").open("ab") as file:
            file.write(b"." * (supervisor.LOG_BYTES + 1))
    for name in ("aws", "cloud"):
        until(lambda log=logs / f"{name}.log": log.stat().st_size < 10_000, f"{name} is bounded")
        assert (logs / f"{name}.old.log").stat().st_size == supervisor.LOG_BYTES


@pytest.mark.parametrize(
    "place", [".buildflow", ".buildflow/local", ".buildflow/local/logs", ".buildflow/local/leases"]
)
def test_a_file_in_the_place_of_a_folder_is_told(project, place):
    path = project / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file")
    with pytest.raises(
        InfraError, match=f"cannot be made|cannot keep its files in .*{place}.* move"
    ):
        start_cloud(project)
    assert "does not run" in steer(project, "status")
    assert "does not run" in steer(project, "stop")
    steer(project, "reset")
    assert path.read_text() == "a file"
    assert cloud_status(project).users == ()


def test_a_folder_that_may_not_be_written_is_told(project, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder / "leases"))

    monkeypatch.setattr(client, "take_lease", denied)
    with pytest.raises(InfraError, match=r"Permission denied: .*leases'; .* writable for you"):
        start_cloud(project)


def test_what_cannot_be_removed_is_told(project, monkeypatch):
    (local_folder(project) / "aws").mkdir(parents=True)

    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(client.shutil, "rmtree", denied)
    with pytest.raises(InfraError, match=r"Permission denied: .*aws'"):
        reset_cloud(project)
