"""Finds Pulumi's command line program, which holds the engine, or gets it.

It is looked for on PATH, then in this project's own cache; the first that fits is used. Otherwise
the SDK's installer downloads it into the cache, which is bounded in time and happens once. No
package index holds the program, so a machine without it and without that download site needs
another way, which the error tells.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.infra.pulumi.deployment import HIDDEN_OPTIONS

__all__ = ("Cli", "cached_root", "find_cli", "get_cli", "look_at_engine")

OLDEST = (3, 205, 1)  # the first that streams its events over gRPC
SITE = ("get.pulumi.com", 443)
REACH_S = 5.0  # to tell an unreachable site from a slow one
DOWNLOAD_S = 300.0  # about 100 MB
VERSION_S = 30.0  # `pulumi version` takes 0.25 s
_VERSION = re.compile(r"^v?(\d+)\.(\d+)\.(\d+)")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cli:
    """A program that fits: `path` to it, its version, and in words where it came from."""

    path: Path
    version: str
    origin: str

    def __str__(self) -> str:
        return f"Pulumi {self.version}, {self.origin}: {self.path}"


def cached_root() -> Path:
    """The folder of this project's own copy, outside any checkout: `bin/pulumi` lies in it."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "buildflow_nb" / "pulumi" / installed_version("pulumi")


def find_cli() -> Cli | None:
    """The program of this machine, or None if there is none that fits."""
    return next((cli for cli, _ in _candidates() if cli is not None), None)


def get_cli(say: Say = lambda _: None) -> Cli:
    """The program of this machine, downloaded if need be.

    Raises:
        InfraError: it is not here and cannot be had; says what to do.
    """
    found = find_cli()
    if found is not None:
        return found
    try:
        return _download(say)
    except OSError as error:
        raise InfraError(_how_to_mend(str(error))) from error


def _candidates() -> Iterator[tuple[Cli | None, str]]:
    """Each place with what fits there, or why nothing does."""
    on_path = shutil.which("pulumi")
    name = "pulumi.exe" if os.name == "nt" else "pulumi"
    places = [(Path(on_path), "on PATH")] if on_path else []
    places.append((cached_root() / "bin" / name, "this project's own copy"))
    for path, origin in places:
        yield _checked(path, origin)


def _checked(path: Path, origin: str) -> tuple[Cli | None, str]:
    if not path.is_file():
        return None, f"{path}: not there"
    version = _version_of(str(path), path.stat().st_mtime_ns)
    parsed = _VERSION.match(version)
    if parsed is None:
        return None, f"{path}: did not tell its version ({version})"
    numbers = tuple(int(part) for part in parsed.groups())
    wanted = _VERSION.match(installed_version("pulumi"))
    if numbers < OLDEST or (wanted is not None and numbers[0] != int(wanted[1])):
        oldest = ".".join(map(str, OLDEST))
        return None, f"{path}: version {version.removeprefix('v')}, but {oldest} or later is needed"
    return Cli(path, version.removeprefix("v"), origin), ""


_versions: dict[tuple[str, int], str] = {}


def _version_of(path: str, modified_ns: int) -> str:
    """What a program says of itself; one that told its version is asked once for each file."""
    key = (path, modified_ns)
    if key not in _versions:
        said = _asked(path)
        if _VERSION.match(said) is None:
            return said
        _versions[key] = said
    return _versions[key]


def _asked(path: str) -> str:
    """Ask it, in a session of its own: an interrupt of the kernel is not meant for it."""
    seen = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN_OPTIONS)}
    try:
        told = subprocess.run(  # noqa: S603  (a path that was found, and no shell)
            [path, "version"],
            capture_output=True,
            text=True,
            timeout=VERSION_S,
            env={**seen, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it does not run: {error}"
    said = told.stdout.strip() or told.stderr.strip() or f"it ended with {told.returncode}"
    return said.partition("\n")[0]


def _download(say: Say) -> Cli:
    """Let the SDK's installer fetch the program into the cache, with a deadline.

    Raises:
        OSError: the site cannot be reached, or the installer failed.
    """
    with socket.create_connection(SITE, timeout=REACH_S):
        pass  # the installer itself has no deadline, and would wait long for nothing
    root = cached_root()
    say(f"getting Pulumi {root.name} (about 100 MB, once) into {root}")
    installer = _Installer(root)
    installer.start()
    installer.join(DOWNLOAD_S)
    if installer.is_alive():
        msg = f"the download was not finished in {DOWNLOAD_S:g} s"
        raise TimeoutError(msg)
    if installer.error is not None:
        msg = f"the installer failed: {installer.error}"
        raise OSError(msg) from installer.error
    found = find_cli()
    if found is None:
        msg = "the installer left no program that fits"
        raise OSError(msg)
    return found


class _Installer(threading.Thread):
    """Runs the SDK's installer, which has no deadline of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__(name="pulumi install", daemon=True)
        self._root = root
        self.error: Exception | None = None

    def run(self) -> None:
        from pulumi.automation import PulumiCommand

        try:
            PulumiCommand.install(root=str(self._root))
        except Exception as error:  # noqa: BLE001  (an installer's script may fail in any way)
            self.error = error


def _how_to_mend(why: str) -> str:
    tried = "; ".join(reason for _, reason in _candidates() if reason)
    return (
        f"the Pulumi program is not on this machine ({tried}) and could not be downloaded ({why}); "
        "install it as https://www.pulumi.com/docs/install says, or put it into "
        f"{cached_root() / 'bin'}; from a checkout with a Go toolchain, "
        "`python -m tools.pulumi_cli` builds it"
    )


SUBJECT = "Pulumi engine"


def look_at_engine() -> Finding:
    """Look for the program and compare it with the SDK; nothing is downloaded."""
    try:
        sdk = installed_version("pulumi")
    except PackageNotFoundError:
        return Finding(SUBJECT, Health.ERROR, "the SDK is not installed", "pip install pulumi")
    found = find_cli()
    if found is None:
        said = f"none that fits is on PATH or in {cached_root() / 'bin'}; the next apply gets one"
        cure = "where nothing can be downloaded, install it as pulumi.com/docs/install says"
        return Finding(SUBJECT, Health.WARNING, said, cure)
    said = f"{found.version}, {found.origin} ({found.path}), for SDK {sdk}"
    if _numbers(found.version) < _numbers(sdk):
        cure = f"install Pulumi {sdk} or later: an older engine may not know what the SDK asks"
        return Finding(SUBJECT, Health.WARNING, f"{said}, which is newer", cure)
    return Finding(SUBJECT, Health.OK, said)


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split("-", maxsplit=1)[0].split("+", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
