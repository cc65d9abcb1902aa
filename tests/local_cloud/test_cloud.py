"""The local cloud as a process: found again, kept up, stopped with its state, started anew."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.process_id import process_name
from buildflow_nb.local_cloud import client, emulators
from buildflow_nb.local_cloud.client import (
    cloud_status,
    find_cloud,
    reset_cloud,
    start_cloud,
    stop_cloud,
)
from buildflow_nb.local_cloud.folder import make_folder
from buildflow_nb.local_cloud.record import local_folder
from buildflow_nb.local_cloud.steer import steer
from tests.local_cloud.running import DEADLINE_S, descendants, project, sqs, until

__all__ = ("project",)  # a fixture

pytestmark = pytest.mark.emulator


def test_it_is_started_found_again_and_stopped_with_its_state(project):
    assert find_cloud(project) is None
    record = start_cloud(project)
    assert start_cloud(project) == record
    assert find_cloud(project) == record
    url = sqs(record).create_queue(QueueName="kept")["QueueUrl"]
    sqs(record).send_message(QueueUrl=url, MessageBody="hello")

    assert stop_cloud(project)
    assert find_cloud(project) is None
    assert not stop_cloud(project)
    again = start_cloud(project)
    assert again.endpoints == record.endpoints, "it comes back where it was"
    found = sqs(again).receive_message(QueueUrl=url, WaitTimeSeconds=5)
    assert [m["Body"] for m in found["Messages"]] == ["hello"]

    reset_cloud(project)
    empty = start_cloud(project)
    assert sqs(empty).list_queues().get("QueueUrls", []) == []


def test_everything_listens_on_the_loopback_alone(project):
    record = start_cloud(project)
    processes = [psutil.Process(record.process.pid), *descendants(record)]
    assert len(processes) == 4
    listening = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_what_it_leaves_in_the_folder_is_for_its_owner(project):
    start_cloud(project)
    folder = local_folder(project)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder.parent / ".gitignore").read_text() == "*\n"
    assert (folder / "cloud.json").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (folder / "logs").iterdir()} == {
        "aws.log", "cloud.log", "gcp.log", "storage.log",
    }  # fmt: skip


def test_no_key_of_the_user_reaches_it(project, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-looking-secret")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/real-looking.json")
    record = start_cloud(project)
    for process in [psutil.Process(record.process.pid), *descendants(record)]:
        assert not {name for name in process.environ() if name.startswith(("AWS_", "GOOGLE_"))}


def test_many_who_start_it_at_once_get_the_same(project):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(start_cloud(project))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(found) == 4
    assert len({record.process.pid for record in found}) == 1


def test_a_stale_file_is_recognised(project):
    record = start_cloud(project)
    folder = local_folder(project)
    text = (folder / "cloud.json").read_text()
    stop_cloud(project)
    (folder / "cloud.json").write_text(text)
    assert find_cloud(project) is None
    told = json.loads(text)
    told["process"] = {"pid": os.getpid(), "began": 0.0}  # its number is used by another now
    (folder / "cloud.json").write_text(json.dumps(told))
    assert find_cloud(project) is None
    (folder / "cloud.json").write_text("{ damaged")
    assert find_cloud(project) is None
    assert start_cloud(project).endpoints == record.endpoints


def test_an_emulator_that_dies_is_started_again_where_it_was(project):
    record = start_cloud(project)
    url = sqs(record).create_queue(QueueName="again")["QueueUrl"]
    (victim,) = (p for p in descendants(record) if "ministack" in " ".join(p.cmdline()))
    victim.kill()
    victim.wait(DEADLINE_S)

    def answers():
        try:
            sqs(record).list_queues()
        except Exception:  # noqa: BLE001  (whatever boto3 makes of a closed port)
            return False
        return True

    until(answers, "the emulator came back")
    told = (local_folder(project) / "logs" / "cloud.log").read_text()
    assert "aws ended with code -9 and is started again in 0.1 s (restart 1)" in told
    assert url.startswith(record.endpoints["sqs"])


def test_a_supervisor_that_was_killed_leaves_nothing_in_the_way(project):
    record = start_cloud(project)
    left = descendants(record)
    assert len(left) == 3
    os.kill(record.process.pid, signal.SIGKILL)
    until(lambda: find_cloud(project) is None, "the record is stale")
    again = start_cloud(project)
    assert again.process.pid != record.process.pid
    assert again.endpoints == record.endpoints
    assert not any(process.is_running() for process in left)


def test_a_taken_port_is_left_to_its_owner(project):
    record = start_cloud(project)
    stop_cloud(project)
    port = int(record.endpoints["sqs"].rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        again = start_cloud(project)
    assert again.endpoints["sqs"] != record.endpoints["sqs"]
    assert again.endpoints["pubsub"] == record.endpoints["pubsub"]
    assert sqs(again).list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_it_stops_by_itself_when_nobody_uses_it(project):
    words = [sys.executable, "-m", "buildflow_nb.local_cloud", str(project), "--idle", "1"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    until(lambda: find_cloud(project) is not None, "it runs")
    assert process.wait(DEADLINE_S) == 0
    assert find_cloud(project) is None


def test_it_stays_while_a_process_that_uses_it_lives(project):
    script = (
        "import sys, pathlib; from buildflow_nb.local_cloud.client import start_cloud;"
        "start_cloud(pathlib.Path(sys.argv[1])); print('up', flush=True); sys.stdin.read()"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", script, str(project)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with user:
        assert user.stdout.readline() == b"up\n"
        assert cloud_status(project).users == (user.pid,)
        stopped = steer(project, "stop")
        again = f"{process_name(user.pid)} uses it and will start it again when it needs it"
        assert stopped == f"the local cloud is stopped; what was in it is kept; {again}"
        start_cloud(project)
        both = steer(project, "stop")
        assert f"{process_name(user.pid)}, this process ({os.getpid()}) use it and will" in both
        start_cloud(project)
        user.kill()
        user.wait(DEADLINE_S)
    assert cloud_status(project).users == (os.getpid(),)
    assert find_cloud(project) is not None, "it outlives a process that used it"


def test_without_its_extra_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(emulators.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InfraError, match=r"pip install 'buildflow_nb\[local\]'"):
        start_cloud(tmp_path)


def test_one_that_does_not_start_names_its_log_and_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(client.sys, "executable", str(tmp_path / "python"))
    fake = Path(tmp_path / "python")
    fake.write_text("#!/bin/sh\necho 'no room left' >&2\nexit 3\n")
    fake.chmod(0o700)
    with pytest.raises(InfraError, match=r"did not start; .*cloud\.log ends with: no room left"):
        start_cloud(tmp_path)


def test_the_words_of_a_notebook_and_a_terminal(project):
    assert "does not run" in steer(project, "status")
    told = steer(project, "start")
    record = find_cloud(project)
    assert f"runs as process {record.process.pid}, used by: {process_name(os.getpid())}" in told
    assert record.endpoints["pubsub"] in told
    assert steer(project, "status") == told
    again = f"this process ({os.getpid()}) uses it and will start it again when it needs it"
    kept = "the local cloud is stopped; what was in it is kept"
    assert steer(project, "stop") == f"{kept}; {again}"
    assert "does not run" in steer(project, "stop")
    emptied = steer(project, "reset")
    assert "stopped and empty" in emptied
    assert emptied.endswith(again)
    assert not (local_folder(project) / "aws").exists()


def test_a_start_is_told_once_and_a_cloud_that_runs_is_not(project):
    told = []
    start_cloud(project, told.append)
    assert told == [f"starting the local cloud of {project}; that takes a few seconds, once"]
    start_cloud(project, told.append)
    assert len(told) == 1


@pytest.mark.parametrize("link", ["lock", "logs", "logs/cloud.log", "logs/aws.log", "aws/x", "gcp"])
def test_a_link_in_its_folder_is_not_followed(tmp_path, link):
    folder = make_folder(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("mine")
    place = folder / link
    if place.is_dir():
        place.rmdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(other if link in {"logs", "gcp"} else other / "file")
    with pytest.raises(InfraError, match=f"{place} is a link, and none is followed there; remove"):
        start_cloud(tmp_path)
    assert [(p.name, p.read_text()) for p in other.iterdir()] == [("file", "mine")]


def test_a_link_in_the_place_of_what_is_replaced_is_replaced(project):
    folder = make_folder(project)
    (project / "mine").write_text("{}")
    for name in ("ports.json", "cloud.json", "children.json"):
        (folder / name).symlink_to(project / "mine")
    start_cloud(project)
    assert (project / "mine").read_text() == "{}"
    assert not any((folder / name).is_symlink() for name in ("ports.json", "cloud.json"))


def test_nothing_in_its_folder_is_for_others(project):
    folder = project / ".buildflow"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    record = start_cloud(project)
    sqs(record).create_queue(QueueName="q")
    stop_cloud(project)
    loose = [p for p in [folder, *folder.rglob("*")] if p.stat().st_mode & 0o077]
    assert loose == []
