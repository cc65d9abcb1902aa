"""Which Ray a run is to use, by the one word that a person gives for it.

Nothing is a Ray of the run's own on this machine. `auto` is the cluster that this machine is part
of, `host:port` the one whose head listens there: for both, this machine has to be one of theirs.
`local` says the same as nothing, for those who have set Ray's own variable `RAY_ADDRESS`, which
whoever asks here has looked at.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from buildflow_nb.core.errors import UsageError

__all__ = ("Address", "address_of", "takes_jobs")

AUTO, LOCAL = "auto", "local"
PORTS = range(1, 65536)
JOB = (
    "a flow goes there by buildflow run --engine ray --address {}, in the folder of a project such "
    "as %buildflow export writes"
)
CLIENT = (
    "Ray's client is not supported, since every object would be a proxy of one elsewhere; run it "
    "on a machine of the cluster, with the address auto"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Ray is: nothing for a run's own, else `auto`, or its head's host and port."""

    text: str = ""
    host: str = ""
    port: int = 0

    @property
    def own(self) -> bool:
        """Whether it is a Ray that the run starts, and ends."""
        return not self.text

    @property
    def loopback(self) -> bool:
        """Whether no other machine can be part of it."""
        return self.own or self.host == "localhost" or _is_loopback(self.host)

    @property
    def here(self) -> bool:
        """Whether its head is on this machine; `auto` is taken for it."""
        return self.loopback or self.text == AUTO or self.host in _names_of_this_machine()

    def __str__(self) -> str:
        if self.own:
            return "a Ray of its own"
        return "the cluster of this machine" if self.text == AUTO else f"the cluster at {self.text}"


def address_of(text: str | None) -> Address:
    """The address that a person gave.

    Raises:
        UsageError: it is none, or one that cannot be used; says what to do.
    """
    given = (text or "").strip()
    if given in ("", LOCAL):
        return Address()
    if given == AUTO:
        return Address(AUTO)
    scheme, _, rest = given.partition("://")
    if takes_jobs(given):
        raise UsageError(f"{given!r} is where Ray takes jobs: {JOB.format(given)}")  # noqa: EM102
    if rest and scheme == "ray":
        raise UsageError(f"{given!r} is for Ray's client: {CLIENT}")  # noqa: EM102
    host, _, port = given.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) not in PORTS or rest:
        msg = f"{given!r} is no address of a Ray cluster; give auto, or host:port"
        raise UsageError(msg)
    return Address(given, host.strip("[]"), int(port))


def takes_jobs(text: str | None) -> bool:
    """Whether an address is one to submit jobs to, and none to join."""
    scheme, _, rest = (text or "").strip().partition("://")
    return bool(rest) and scheme in ("http", "https")


def _names_of_this_machine() -> set[str]:
    import psutil

    addresses = {one.address for some in psutil.net_if_addrs().values() for one in some}
    return addresses | {socket.gethostname()}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
