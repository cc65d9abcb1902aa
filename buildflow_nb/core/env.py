"""Where a stack's clients connect, and with which credentials: the only thing a stack changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret

__all__ = ("Env", "Services", "stack_said", "store_of")


def stack_said(name: str, cloud: str) -> str:
    """The name with the cloud, "local" or "real"; "" where nobody has said which."""
    return f"{name!r} ({cloud} cloud)" if cloud else repr(name)


def store_of(primitive: object) -> str:
    """The store that a primitive is in on a local stack, by its attribute `local_store`; or ""."""
    return str(getattr(primitive, "local_store", ""))


class Services(Protocol):
    """Servers of a stack that are started when they are first needed: the local cloud's stores."""

    def wake(self, service: str) -> str:
        """Start the store that has this endpoint, unless it runs; gives its URL. Blocks, seconds.

        Raises:
            InfraError: it cannot be started; says why.
        """
        ...

    def password(self, store: str) -> Secret:
        """The password of a store, made for this stack alone.

        Raises:
            InfraError: it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Env:
    """Where clients connect and with which credentials: the only thing a stack changes.

    `endpoints` maps a service ("s3", "sqs", "sts", "storage", "pubsub") to an `http://` URL; an
    absent one means the real cloud. `services` wakes the stores ("postgres", "bigquery", …), whose
    endpoints answer only then; None on the real cloud. `aws_region` and `gcp_project` are for
    primitives that name none. `folder` is where relative paths start. `positions` is a folder in
    which a source may note how far it is, for the run that comes after this one; the runtime gives
    each processor one of its own, made by whoever writes there first. None where nothing is kept.
    `cloud` is the one that the stack is on, "local" or "real", for lines that name it; `provider`
    ("aws", "gcp", "azure", "local") is what portable primitives are there.
    """

    stack: str = "local"
    folder: Path = field(default_factory=Path.cwd)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    aws: AWSCredentials = field(default_factory=AWSCredentials)
    gcp: GCPCredentials = field(default_factory=GCPCredentials)
    aws_region: str | None = None
    gcp_project: str | None = None
    positions: Path | None = None
    cloud: str = ""
    services: Services | None = None
    provider: str = "local"

    @property
    def stack_said(self) -> str:
        """The stack's name, and its cloud."""
        return stack_said(self.stack, self.cloud)
