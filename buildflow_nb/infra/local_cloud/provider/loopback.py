"""Endpoints of this machine, the only ones that the local cloud's provider dials.

The provider is handed credentials and asked to delete things. Whatever a program, a configuration
or an environment variable says, that must not reach a real cloud, so an endpoint whose host is not
literally a loopback address is refused before anything is sent; no name is looked up for it.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from buildflow_nb.core.errors import InfraError

__all__ = ("loopback",)


def loopback(endpoint: str, what: str) -> SplitResult:
    """Take an endpoint apart, if it is an http URL of this machine.

    Raises:
        InfraError: it is not; names `what` and the endpoint's host.
    """
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        msg = f"{what}: not a URL ({error}); give one like http://127.0.0.1:4566"
        raise InfraError(msg) from error
    if parts.scheme != "http" or port is None or not _is_local(parts.hostname or ""):
        msg = (
            f"{what}: {parts.scheme}://{parts.hostname}:{port} is not of this machine; the local "
            "cloud's provider dials only endpoints like http://127.0.0.1:4566"
        )
        raise InfraError(msg)
    return parts


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
