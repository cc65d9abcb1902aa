"""The engine, the local cloud and its emulators, killed while resources are made and removed.

After each kill the same operation is asked for again, without a hint of what happened, until it is
done; then the vendors' own clients see what there is, and the processes are counted.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from buildflow_nb.local_cloud.client import find_cloud, start_cloud, stop_cloud
from tests.faults.feeds import sqs_client
from tests.faults.ground import Ground
from tests.faults.networks import emulator_of
from tests.faults.process import ROOT
from tests.faults.tally import Tally
from tests.io.gcp.vendor import PubSub

__all__ = ("VICTIMS", "operations_killed")

VICTIMS = ("engine", "cloud", "aws", "pubsub", "command")
QUEUES, TOPICS = 6, 6
SPAN_S = (0.3, 4.0)  # of an operation, in which something is killed
TRIES = 4
END_S = 120.0
PROGRAM = """
import sys
from buildflow_nb import Flow
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.gcp import GCPPubSubTopic
app = Flow("faults")
for i in range({queues}):
    app.manage(SQSQueue(f"killed-{{i}}"))
for i in range({topics}):
    app.manage(GCPPubSubTopic(None, f"killed-{{i}}"))
getattr(app, sys.argv[1])(yes=True)
"""


def operations_killed(victim: str, rounds: int, ground: Ground) -> Tally:
    """Apply and destroy in turn; resources count as elements, those that are left as repeated."""
    folder = ground.folder(f"operate-{victim}")
    (folder / "program.py").write_text(PROGRAM.format(queues=QUEUES, topics=TOPICS))
    before = _living(folder)
    kills, found, left, wrong = 0, list(range(QUEUES + TOPICS)), 0, ""
    try:
        for _ in range(rounds):
            for verb, wanted in (("apply", QUEUES + TOPICS), ("destroy", 0)):
                kills += _killed(verb, victim, folder, ground.rng)
                wrong = wrong or _again(verb, folder)
                there = _resources(folder)
                if verb == "apply":
                    found = found[:there]
                left += max(0, there - wanted)
    finally:
        stop_cloud(folder)
    strays = _living(folder) - before
    if strays and not wrong:
        wrong = f"{len(strays)} processes are left"
    name = f"apply and destroy, {victim} killed"
    tally = Tally.of(name, kills, range(QUEUES + TOPICS), found, wrong=wrong)
    return tally if not left else Tally.of(name, kills, (), (), wrong=f"{left} orphans")


def _killed(verb: str, victim: str, folder: Path, rng: random.Random) -> int:
    """One operation in which something is killed; whether it was there to be killed."""
    process = _begin(verb, folder)
    time.sleep(rng.uniform(*SPAN_S))
    done = 0
    pid = process.pid if victim == "command" else _pid_of(victim, folder)
    if pid is not None and process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            done = 1
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=END_S)
    if process.poll() is None:
        process.kill()
        process.communicate()
    return done


def _pid_of(victim: str, folder: Path) -> int | None:
    record = find_cloud(folder)
    if record is None:
        return None
    if victim == "cloud":
        return record.process.pid
    if victim == "engine":
        locks = list(folder.glob(".buildflow/**/*.lock"))
        told = (json.loads(lock.read_text() or "{}") for lock in locks if lock.stat().st_size)
        return next((one["engine"] for one in told if one.get("engine")), None)
    service = "sqs" if victim == "aws" else "pubsub"
    with suppress(LookupError):
        return emulator_of(int(record.endpoints[service].rpartition(":")[2]))
    return None


def _again(verb: str, folder: Path) -> str:
    """Ask until it is done; what is wrong if it never is."""
    said = ""
    for _ in range(TRIES):
        process = _begin(verb, folder)
        try:
            _out, said = process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"{verb} hung"
        if process.returncode == 0:
            return ""
    return f"{verb} failed {TRIES} times: {said.strip()[-200:]}"


def _begin(verb: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "program.py", verb],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _resources(folder: Path) -> int:
    """How many queues and topics of ours the vendors' clients see."""
    endpoints = start_cloud(folder).endpoints
    client = sqs_client(endpoints)
    queues = client.list_queues(QueueNamePrefix="killed-").get("QueueUrls", [])  # type: ignore[attr-defined]
    with PubSub(endpoints["pubsub"]) as pubsub:
        topics = [t.name for t in pubsub.publisher.list_topics(project="projects/local-project")]
    return len(queues) + sum("killed-" in name for name in topics)


def _living(folder: Path) -> set[int]:
    """Processes that have this folder in their words."""
    found = set()
    for one in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in one.info["cmdline"] or ()):
            found.add(one.pid)
    return found
