"""Runs the provider servers, for `PULUMI_DEBUG_PROVIDERS` to attach an engine to them.

Each package has a server and a port of its own on the loopback address. SDKs are imported with this
module, once, so that every answer afterwards takes milliseconds.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2_grpc as protocol

from buildflow_nb.core.primitive import Services
from buildflow_nb.local_cloud.provider.aws import AWS
from buildflow_nb.local_cloud.provider.gcp import GCP
from buildflow_nb.local_cloud.provider.resource import Package
from buildflow_nb.local_cloud.provider.service import ProviderService

__all__ = ("ProviderServers", "served")

THREADS = 16  # requests at once in a package; the engine asks for about four a core
WAITING = 512  # requests that may be in work or wait for a thread; more are refused
MESSAGE_BYTES = 400 << 20  # the engine's own limit (sdk/go/common/util/rpcutil)
STOP_S = 5.0  # for requests in work when the servers stop; then they are cut


def served() -> tuple[Package[Any], ...]:
    """The packages whose SDK is here; that of Snowflake is an extra."""
    if importlib.util.find_spec("pulumi_snowflake") is None:
        return (AWS, GCP)
    from buildflow_nb.local_cloud.provider.snowflake import SNOWFLAKE

    return (AWS, GCP, SNOWFLAKE)


class ProviderServers:
    """The provider servers of the local cloud."""

    def __init__(
        self, packages: Sequence[Package[Any]] | None = None, services: Services | None = None
    ) -> None:
        self._packages = served() if packages is None else packages
        self._services = services
        self._servers: list[grpc.Server] = []
        self._pools: list[ThreadPoolExecutor] = []

    def start(self) -> dict[str, int]:
        """Start serving; gives the port of each package.

        Raises:
            RuntimeError: no port of the loopback address is free.
        """
        return {package.name: self._serve(package) for package in self._packages}

    def stop(self) -> None:
        """Take no more requests, wait for those in work, and end."""
        stopping = [server.stop(STOP_S) for server in self._servers]
        for stopped in stopping:
            stopped.wait(STOP_S + 1)
        for pool in self._pools:
            pool.shutdown(wait=False)  # a request that was cut ends with its call's deadline
        self._servers.clear()
        self._pools.clear()

    def _serve(self, package: Package[Any]) -> int:
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"provider {package.name}")
        server = grpc.server(
            pool,
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # a second server must not get a share of the requests
            ],
            maximum_concurrent_rpcs=WAITING,
        )
        service = ProviderService(package, self._services)
        protocol.add_ResourceProviderServicer_to_server(service, server)
        port: int = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._servers.append(server)
        self._pools.append(pool)
        return port
