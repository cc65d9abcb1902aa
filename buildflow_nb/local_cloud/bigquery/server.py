"""The server: REST at one port of the loopback address, Storage Write and Read at another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from aiohttp import web

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.bigquery.calls import Admission
from buildflow_nb.local_cloud.bigquery.read import StorageRead
from buildflow_nb.local_cloud.bigquery.rest import Rest
from buildflow_nb.local_cloud.bigquery.service import Service
from buildflow_nb.local_cloud.bigquery.write import StorageWrite
from buildflow_nb.local_cloud.ports import HOST

__all__ = ("BigQueryServer",)

STOP_S = 3.0  # for what is being answered
CHANNEL = (
    ("grpc.max_receive_message_length", 32 << 20),  # an append has at most 10 MB
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a port that another process has is refused, not shared
)


class BigQueryServer:
    """A server whose state is in one folder.

    Raises:
        OSError: the folder cannot be used.
        duckdb.Error: its file is another process's, or damaged.
    """

    def __init__(self, folder: Path, password: Secret, cloud_storage: int | None = None) -> None:
        self._service = Service.opened(folder, cloud_storage)
        self._rest = Rest(self._service, password)
        admission = Admission(password)
        self._write = StorageWrite(self._service, admission)
        self._read = StorageRead(self._service, admission)
        self._runner: web.AppRunner | None = None
        self._grpc: grpc.aio.Server | None = None

    async def start(self, port: int, storage_port: int) -> tuple[int, int]:
        """Listen; 0 takes a free port. Gives both ports.

        Raises:
            OSError: a port is taken.
        """
        self._grpc = grpc.aio.server(options=CHANNEL)
        self._grpc.add_generic_rpc_handlers((self._write.handler(), self._read.handler()))
        try:
            storage = self._grpc.add_insecure_port(f"{HOST}:{storage_port}")
        except RuntimeError as error:
            msg = f"port {storage_port} of {HOST} cannot be had: {error}"
            raise OSError(msg) from error
        await self._grpc.start()
        self._runner = web.AppRunner(
            self._rest.application(), access_log=None, shutdown_timeout=STOP_S
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound, storage

    async def stop(self) -> None:
        """Let what was begun end, and close the file."""
        if self._grpc is not None:
            await self._grpc.stop(STOP_S)
        if self._runner is not None:
            await self._runner.cleanup()
        for part in (self._rest, self._write, self._read):
            await asyncio.to_thread(part.close)
        await asyncio.to_thread(self._service.close)
