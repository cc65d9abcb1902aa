"""Whether a port of this machine is free, or who has it."""

from __future__ import annotations

import errno
import os
import socket

import psutil

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.process_id import process_name

__all__ = ("look_at_port",)


def look_at_port(host: str, port: int) -> Finding:
    """Look whether routes could be served there; nothing listens meanwhile."""
    subject = f"port {port}"
    if port == 0:
        return Finding(subject, Health.OK, "any free one will be taken")
    reason = _refused(host, port)
    if reason is None:
        return Finding(subject, Health.OK, f"free on {host}")
    if reason != errno.EADDRINUSE:
        said = f"{host} cannot be listened at: {os.strerror(reason)}"
        return Finding(subject, Health.ERROR, said, "give another --host or --port")
    cure = "end that, or `%buildflow run --port 0`, which takes any free one"
    return Finding(subject, Health.ERROR, f"taken by {_holder(port)}", cure)


def _refused(host: str, port: int) -> int | None:
    """The number of the error, None where there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            if os.name == "posix":  # as a server does; elsewhere it means something else
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
            tried.listen(1)
    except OSError as error:
        return error.errno or errno.EINVAL
    return None


def _holder(port: int) -> str:
    try:
        found = [
            c.pid
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port
        ]
        pid = next((pid for pid in found if pid), None)
        if pid is None:
            return "another process"
        return process_name(pid)
    except (psutil.Error, OSError):
        return "another process"
