"""A consumer of an SQS queue, beside a thread loop that uses boto3 by hand.

Both talk to a server that answers every call after 10 ms, as AWS does from nearby; what is measured
is the client. The loop by hand is what a good engineer writes: receive ten, decode, delete ten.
"""

from __future__ import annotations

import gc
import http.client
import subprocess
import sys
import threading
import time

import boto3
import msgspec
from botocore.config import Config

from buildflow_nb import Flow
from buildflow_nb.core.credentials import AWSCredentials, Secret
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.plan import RunPlan
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.orders import Order

MESSAGES = 15_000
THREADS = 24  # of the loop by hand; more make it no faster, as the CPU is its limit
LATENCY_MS = 10  # as AWS answers from nearby
EMPTY_POLL_S = 0.3  # a long poll of an empty queue, on this server
LOOK_S = 0.005
ROUNDS = 5
REGION = "us-east-1"


class Server:
    """The queue, as a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.sqs_server", str(LATENCY_MS)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._port}"

    def refill(self) -> None:
        """Have messages again."""
        self._ask("POST", "/refill", str(MESSAGES))

    def await_deleted(self) -> None:
        """Wait until every message is deleted."""
        while int(self._ask("GET", "/deleted")) < MESSAGES:
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.communicate()  # it ends when its stdin does

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        self._connection.request(method, path, body)
        return self._connection.getresponse().read()


def keep(order: Order) -> None:
    """A processor that does nothing: the cost is the way, not the work."""


def ours(server: Server) -> float:
    """Messages a second through a flow, from its start to the last delete."""
    keys = AWSCredentials(Secret("test"), Secret("test"))
    env = Env(endpoints={"sqs": server.url}, aws=keys, aws_region=REGION)
    flow = Flow()
    flow.consumer(source=SQSQueue("bench"))(keep)
    handle = RunHandle(RunPlan("bench", env), flow.registry)
    server.refill()
    gc.collect()
    began = time.perf_counter()
    handle.begin()
    server.await_deleted()
    seconds = time.perf_counter() - began
    handle.stop()
    time.sleep(EMPTY_POLL_S)  # the long polls that were under way end by themselves
    return MESSAGES / seconds


def drain(client: object, url: str) -> None:
    """Receive ten, decode, delete ten, until there are no more."""
    decoder = msgspec.json.Decoder(Order)
    while True:
        reply = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        messages = reply.get("Messages")
        if not messages:
            return
        done = []
        for message in messages:
            try:
                keep(decoder.decode(message["Body"]))
            except ValueError as error:
                print(error)  # noqa: T201
            else:
                done.append(message["ReceiptHandle"])
        entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(done)]
        client.delete_message_batch(QueueUrl=url, Entries=entries)


def by_hand(server: Server) -> float:
    """Messages a second of a boto3 loop in threads."""
    client = boto3.client(
        "sqs",
        endpoint_url=server.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
        config=Config(max_pool_connections=THREADS),
    )
    url = client.get_queue_url(QueueName="bench")["QueueUrl"]
    server.refill()
    gc.collect()
    workers = [threading.Thread(target=drain, args=(client, url)) for _ in range(THREADS)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    server.await_deleted()
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    client.close()
    return MESSAGES / seconds


def main() -> None:
    """Print both rates."""
    server = Server()
    try:
        by_boto3 = f"boto3 by hand, {THREADS} threads"
        sides = {"buildflow_nb": lambda: ours(server), by_boto3: lambda: by_hand(server)}
        figures = interleave(sides, ROUNDS)
    finally:
        server.stop()
    title = f"{MESSAGES:,} SQS messages to a dataclass, {LATENCY_MS} ms a call"
    table(title, figures, "messages/s", {by_boto3: "at least 2"})


if __name__ == "__main__":
    main()
