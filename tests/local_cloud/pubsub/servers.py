"""The servers that the conformance suite runs against, as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

PATIENCE_S = 20.0  # for a server to start or to stop
JAR_PLACES = (
    "/usr/lib/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
    "/usr/local/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
    "/opt/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
    "~/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
)


def emulator_jar() -> Path | None:
    """Google's emulator, if this machine has it."""
    named = os.environ.get("PUBSUB_EMULATOR_JAR")
    if named:
        return Path(named)
    found = [path for place in JAR_PLACES for path in glob(str(Path(place).expanduser()))]  # noqa: PTH207
    return Path(max(found)) if found and shutil.which("java") else None


@contextmanager
def our_server(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run our server; gives its address and its process."""
    command = [sys.executable, "-m", "buildflow_nb.local_cloud.pubsub", *arguments]
    with stopped(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        yield f"127.0.0.1:{port}", process


@contextmanager
def google_server(jar: Path) -> Iterator[str]:
    """Run Google's emulator; gives its address."""
    port = free_port()
    options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    command = ["java", *options, "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]
    quiet = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with stopped(quiet):
        wait_for_http(f"http://127.0.0.1:{port}/")
        yield f"127.0.0.1:{port}"


@contextmanager
def stopped(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Stop a process in the end."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_http(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, f"nothing answers at {url}"
            time.sleep(0.05)
