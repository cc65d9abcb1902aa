"""Our server as a process of its own, and the vendor's clients for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read import transports as read_transports
from google.cloud.bigquery_storage_v1.services.big_query_write import BigQueryWriteAsyncClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcAsyncIOTransport,
)
from google.oauth2.credentials import Credentials

PASSWORD = "made-up"  # noqa: S105
PATIENCE_S = 30.0
METADATA = (("authorization", f"Bearer {PASSWORD}"),)
CHANNEL = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class BearerToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Sends the password with every call, which a channel in clear does not do by itself."""

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    @staticmethod
    def _with_token(details):
        return details._replace(metadata=[*(details.metadata or ()), *METADATA])


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    port: int
    storage_port: int
    channels: list[grpc.Channel] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage_url(self) -> str:
        return f"http://127.0.0.1:{self.storage_port}"

    @cached_property
    def client(self) -> bigquery.Client:
        return self.client_of("proj")

    def client_of(self, project: str, password: str = PASSWORD) -> bigquery.Client:
        credentials = Credentials(token=password) if password else AnonymousCredentials()
        options = ClientOptions(api_endpoint=self.url)
        return bigquery.Client(project, credentials=credentials, client_options=options)

    @cached_property
    def reader(self) -> BigQueryReadClient:
        plain = grpc.insecure_channel(f"127.0.0.1:{self.storage_port}", options=CHANNEL)
        self.channels.append(plain)
        channel = grpc.intercept_channel(plain, BearerToken())
        transport = read_transports.BigQueryReadGrpcTransport(channel=channel)
        return BigQueryReadClient(transport=transport)

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.storage_port}", options=CHANNEL)

    @staticmethod
    def writer(channel: grpc.aio.Channel) -> BigQueryWriteAsyncClient:
        transport = BigQueryWriteGrpcAsyncIOTransport(channel=channel)
        return BigQueryWriteAsyncClient(transport=transport)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()
        for channel in self.channels:
            channel.close()


def start(folder: Path, *words: str) -> Server:
    command = [sys.executable, "-P", "-m", "buildflow_nb.local_cloud.bigquery"]
    command += ["--state", str(folder), *words]
    environment = {**os.environ, "BUILDFLOW_BIGQUERY_PASSWORD": PASSWORD}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    line = process.stdout.readline()
    if not line:
        process.stdout.close()
        process.wait(PATIENCE_S)
        pytest.fail("the server did not start")
    ports = json.loads(line)
    return Server(process, ports["port"], ports["storage_port"])


def stop(server: Server, *, kill: bool = False) -> int:
    server.close()
    if kill:
        server.process.kill()
    else:
        server.process.terminate()
    try:
        return server.process.wait(PATIENCE_S)
    finally:
        server.process.kill()
        server.process.stdout.close()
        server.process.wait()


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Server]:
    server = start(folder, *words)
    try:
        yield server
    finally:
        stop(server)
