"""Whether there is an engine, and whether it fits the SDK."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.infra.pulumi.cli import cached_root, find_cli

__all__ = ("look_at_engine",)

SUBJECT = "Pulumi engine"


def look_at_engine() -> Finding:
    """Look for the program and compare it with the SDK; nothing is downloaded."""
    try:
        sdk = version("pulumi")
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
