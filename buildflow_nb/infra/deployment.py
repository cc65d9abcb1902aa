"""What an operation works on, as data: a stack, its place, and what it should hold."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from buildflow_nb.core.config import Stack
from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.primitive import Env
from buildflow_nb.infra.passphrase import passphrase

__all__ = ("PRIVATE", "Deployment")

PRIVATE = ".buildflow"  # a project's own folder: never in git
_SCHEMES = ("file://", "s3://", "gs://", "gcs://", "azblob://", "https://", "http://")
_CLOUD_VARIABLES = ("AWS_", "GOOGLE_", "GCP_", "GCLOUD_", "CLOUDSDK_", "AZURE_", "ARM_")
_PANICS = "PULUMI_OPTION_PARALLEL"  # makes engine 3.259 panic: "unexpected CLI type: int32"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The managed primitives of a flow, on a stack of a project folder.

    `attached` maps a provider's name to the port where it listens already: the local cloud's.
    With `refresh` the engine looks at the cloud first; with `protect` it refuses to delete.
    """

    project: str
    stack: Stack
    folder: Path
    pulumi_home: str
    env: Env
    managed: tuple[object, ...]
    attached: Mapping[str, int] = field(default_factory=dict)
    refresh: bool = True
    protect: bool = False

    @property
    def name(self) -> str:
        """The project's name as the engine takes it: letters, digits, `-`, `_`, `.`."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.project).strip("-")[:100] or "buildflow"

    @property
    def home(self) -> Path:
        """Where the engine's files of this project lie."""
        return self.folder / self.pulumi_home

    @property
    def work_dir(self) -> Path:
        """The engine's working folder of the stack; holds its settings."""
        return self.home / "work" / self.stack.name

    @property
    def lock(self) -> Path:
        """The file that is locked by whoever works on the stack."""
        return self.home / f"{self.stack.name}.lock"

    @property
    def backend(self) -> str:
        """Where the state is kept, as the engine takes it.

        Raises:
            ConfigError: the stack's backend_url is of no known kind.
        """
        url = self.stack.backend_url
        if url is None:
            return (self.home / "state" / self.stack.name).as_uri()
        if not url.startswith(_SCHEMES):
            known = ", ".join(_SCHEMES)
            msg = f"stack {self.stack.name!r}: backend_url {url!r} is none of {known}"
            raise ConfigError(msg)
        if url.startswith("file://"):
            return (self.folder / Path(url.removeprefix("file://")).expanduser()).resolve().as_uri()
        return url.replace("gcs://", "gs://", 1)

    @property
    def state(self) -> Path | None:
        """The file of the state, where the backend is a folder of this machine."""
        folder = self._backend_folder()
        if folder is None:
            return None
        return folder / ".pulumi" / "stacks" / self.name / f"{self.stack.name}.json"

    def environment(self) -> dict[str, str]:
        """The engine's environment, besides what it inherits."""
        found = {
            "PULUMI_BACKEND_URL": self.backend,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_CONFIG_PASSPHRASE": passphrase(self.folder / PRIVATE).reveal(),
        }
        if self.attached:
            ports = ",".join(f"{name}:{port}" for name, port in sorted(self.attached.items()))
            found |= {
                "PULUMI_HOME": str(self.home),
                "PULUMI_DEBUG_PROVIDERS": ports,
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_OPTION_SKIP_PLUGIN_PRE_INSTALL": "true",
                "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            }
        return found

    def hidden(self) -> tuple[str, ...]:
        """Environment variables that the engine must not see: on the local cloud, all keys."""
        if not self.attached or self._backend_folder() is None:
            return (_PANICS,)
        return (_PANICS, *(v for v in os.environ if v.startswith(_CLOUD_VARIABLES)))

    def prepare(self) -> None:
        """Make the folders that the engine expects."""
        self.work_dir.mkdir(parents=True, exist_ok=True)
        folder = self._backend_folder()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def _backend_folder(self) -> Path | None:
        url = self.backend
        return Path(url.removeprefix("file://")) if url.startswith("file://") else None
