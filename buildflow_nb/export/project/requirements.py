"""What a program's imports are installed from, at the versions that are installed here.

Only the records of installed packages are read, nothing is imported. A module of a namespace
(`google.cloud.storage`) belongs to the package whose files hold it. What was installed from a
folder (PEP 610, `direct_url.json`) may be on no index: its line is the same, and it is told apart,
so that a wheel of it can be laid beside the program.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from buildflow_nb.export.report import Import

__all__ = ("OURS", "WHEELS", "Requirements", "requirements_of")

OURS = "buildflow-nb"
WHEELS = "wheels"
_ENDS = ("/__init__.", ".py", ".so", ".pyd", ".abi3.", ".cpython-", ".cp3")  # of a module's file
_ALIASES = {"buildflow_nb": OURS, "buildflow": OURS}  # an editable install lists no files


@dataclass(frozen=True, slots=True)
class Requirements:
    """Lines of a requirements file, sorted, and imports that no installed package provides.

    `folders` are those that packages were installed from, by the package's name.
    """

    lines: tuple[str, ...]
    missing: tuple[Import, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)

    @property
    def wheel_command(self) -> str:
        """What lays wheels of those packages into `wheels/`, on this machine; may be empty."""
        paths = " ".join(f"'{path}'" for path in sorted(set(self.folders.values())))
        return f"pip wheel --no-deps -w {WHEELS} {paths}" if paths else ""


def requirements_of(imports: Sequence[Import]) -> Requirements:
    """What has to be installed for these imports.

    `from google.cloud import storage` is the import of `google.cloud.storage`.
    """
    installed = _Installed()
    lines: dict[str, str] = {}
    missing: list[Import] = []
    folders: dict[str, Path] = {}
    for one in imports:
        owner = installed.owner(one.module)
        if owner is None:
            missing.append(one)
            continue
        name = owner.metadata["Name"]
        origin = _Origin.of(owner)
        lines[name.lower()] = origin.line(name, owner.version)
        if origin.folder is not None:
            folders[name] = origin.folder
    ordered = tuple(lines[name] for name in sorted(lines))
    return Requirements(ordered, tuple(missing), folders)


class _Installed:
    """The packages that are installed here, by their lists of files.

    Those are looked at as text: to parse all of them takes ten times as long.
    """

    def __init__(self) -> None:
        self._listed = [(dist, _listing(dist)) for dist in Distribution.discover()]

    def owner(self, module: str) -> Distribution | None:
        """The package that a module comes from."""
        top = module.partition(".")[0]
        near = [(dist, listing) for dist, listing in self._listed if f"\n{top}" in listing]
        for path in _upwards(module):
            for dist, listing in near:
                if any(f"\n{path}{end}" in listing for end in _ENDS):
                    return dist
        inside = [dist for dist, listing in near if f"\n{top}/" in listing]
        if len(inside) == 1:  # a namespace that is one package's alone
            return inside[0]
        return None if inside else _named(_ALIASES.get(top, "")) or _editable(top)


def _listing(dist: Distribution) -> str:
    record = dist.read_text("RECORD")
    if record is None:  # installed by a system's own packages
        tops = (dist.read_text("top_level.txt") or "").split()
        record = "\n".join(f"{top}/__init__.py" for top in tops)
    return f"\n{record}"


def _upwards(module: str) -> Iterator[str]:
    """`google/cloud/storage/blob`, `google/cloud/storage`, `google/cloud`, `google`."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        yield "/".join(parts[:end])


def _named(name: str) -> Distribution | None:
    try:
        return Distribution.from_name(name) if name else None
    except PackageNotFoundError:
        return None


def _editable(top: str) -> Distribution | None:
    """The package that was installed from the folder in which a module is."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec is not None else []
    for dist in Distribution.discover() if places else ():
        folder = _Origin.of(dist).folder
        if folder is not None and any(p and Path(p).is_relative_to(folder) for p in places):
            return dist
    return None


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a package was installed from, if not from an index."""

    url: str = ""
    folder: Path | None = None

    @classmethod
    def of(cls, dist: Distribution) -> _Origin:
        """By PEP 610; without a file of it, it came from an index."""
        try:
            told: Any = json.loads(dist.read_text("direct_url.json") or "{}")
            url = urlsplit(str(told.get("url", "")))
        except (ValueError, AttributeError):
            return cls()
        if url.scheme == "file":
            return cls(folder=Path(url2pathname(url.path)))
        if not url.scheme:
            return cls()
        bare = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
        vcs = told.get("vcs_info") or {}
        within = f"#subdirectory={told['subdirectory']}" if told.get("subdirectory") else ""
        if vcs:
            return cls(f"{vcs.get('vcs', 'git')}+{bare}@{vcs.get('commit_id', '')}{within}")
        return cls(f"{bare}{within}")

    def line(self, name: str, version: str) -> str:
        """The requirement of exactly that package."""
        return f"{name} @ {self.url}" if self.url else f"{name}=={version}"
