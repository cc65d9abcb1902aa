"""What an operation works on, as data: a stack, its place, and what it should hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from buildflow_nb.core.config import Stack
from buildflow_nb.core.declaring.identity import NAMELESS
from buildflow_nb.core.errors import ConfigError, InfraError
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.project_folder import PRIVATE, check_tree, make_private, private_folder
from buildflow_nb.infra.pulumi.passphrase import passphrase

__all__ = ("HIDDEN_OPTIONS", "Deployment")

_SCHEMES = ("file://", "s3://", "gs://", "gcs://", "azblob://", "https://", "http://")
_CLOUD_VARIABLES = ("AWS_", "GOOGLE_", "GCP_", "GCLOUD_", "CLOUDSDK_", "AZURE_", "ARM_")
# They would change what is done behind the caller's back; PULUMI_OPTION_PARALLEL makes engine 3.259
# panic ("unexpected CLI type: int32").
HIDDEN_OPTIONS = ("PULUMI_OPTION_",)
LONGEST_NAME = 80  # of the engine's 100, so that a hash has room


@dataclass(frozen=True, slots=True)
class Deployment:
    """The managed primitives of a flow, on a stack of a project folder.

    `attached` maps a provider's name to the port where it listens already: the local cloud's. With
    `refresh` the engine looks at the cloud first; with `protect` it refuses to delete. `identity`
    is who declares (`core/declaring/identity.py`). With `own`, the state is this flow's and
    `project` its name; otherwise it belongs to the app that `buildflow.yaml` names. `expected` is
    the mark of the state that is to be worked on, "" for whichever there is.
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
    identity: str = NAMELESS
    own: bool = False
    expected: str = ""

    @property
    def name(self) -> str:
        """The project's name as the engine takes it: letters, digits, `-`, `_`, `.`.

        Where that is not the app's own name, a hash keeps two apps from sharing a state.
        """
        clean = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.project).strip("-")[:LONGEST_NAME]
        if clean == self.project:
            return clean
        mark = hashlib.sha256(self.project.encode()).hexdigest()[:8]
        return f"{clean}-{mark}" if clean else f"app-{mark}"

    @property
    def home(self) -> Path:
        """Where the engine's files of this project lie."""
        return self.folder / self.pulumi_home

    @property
    def work_dir(self) -> Path:
        """The engine's working folder of the stack; holds its settings."""
        return self._files / "work" / self.stack.name

    @property
    def lock(self) -> Path:
        """The file that is locked by whoever works on the stack."""
        return self._files / f"{self.stack.name}.lock"

    @property
    def last_state(self) -> Path:
        """Where the last whole state is kept."""
        return self._files / f"{self.stack.name}.last.json"

    @property
    def backend(self) -> str:
        """Where the state is kept, as the engine takes it.

        Raises:
            ConfigError: the stack's backend_url is of no known kind.
        """
        path, url = self._backend_path(), self.stack.backend_url or ""
        return path.as_uri() if path is not None else url.replace("gcs://", "gs://", 1)

    @property
    def state(self) -> Path | None:
        """The file of the state, where the backend is a folder of this machine."""
        folder = self._backend_path()
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
        kinds: tuple[str, ...] = HIDDEN_OPTIONS
        if self.attached and self._backend_path() is not None:
            kinds += _CLOUD_VARIABLES
        return tuple(name for name in os.environ if name.startswith(kinds))

    def prepare(self) -> None:
        """Make the folders that the engine expects.

        Raises:
            InfraError: one cannot be made.
        """
        private_folder(self.folder)
        try:
            make_private(self.work_dir)
            if PRIVATE in self.home.parts:
                check_tree(self.home)  # the engine would follow a link
            backend = self._backend_path()
            if backend is not None:
                make_private(backend)
        except OSError as error:
            msg = f"stack {self.stack.name!r} has no place for its state: {error}"
            raise InfraError(msg) from error

    @property
    def _files(self) -> Path:
        """What is the flow's alone, where the state is: two of a folder may work at once."""
        return self.home / "flows" / self.name if self.own else self.home

    def _backend_path(self) -> Path | None:
        """The folder of the state, where it is one of this machine."""
        url = self.stack.backend_url
        if url is None:
            return self.home / "state" / self.stack.name
        if not url.startswith(_SCHEMES):
            known = ", ".join(_SCHEMES)
            msg = f"stack {self.stack.name!r}: backend_url {url!r} is none of {known}"
            raise ConfigError(msg)
        if not url.startswith("file://"):
            return None
        try:
            path = Path(unquote(url.removeprefix("file://"))).expanduser()
            return (self.folder / path).resolve()
        except (ValueError, RuntimeError, OSError) as error:  # a NUL, no such user, a loop of links
            why = str(error).rstrip(".")
            msg = f"stack {self.stack.name!r}: backend_url {url!r} names no folder: {why}"
            raise ConfigError(msg) from error
