"""Google's part of the local cloud: the Pub/Sub server, and the front of Cloud Storage.

They share a process, since every event of the storage becomes a message: the emulator publishes
all its events to one topic of the server, from where they go to the topics that notifications name.
An event that the emulator has not told yet is lost only if the emulator's process ends; while this
one is started again, the emulator keeps it and tries again.

Run as `python -m buildflow_nb.local_cloud.gcp`; SIGTERM stops it with its state written.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.project_folder import make_private
from buildflow_nb.local_cloud.emulators import EVENT_PROJECT, EVENT_TOPIC
from buildflow_nb.local_cloud.ports import HOST
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.server import PubSubServer
from buildflow_nb.local_cloud.storage.fan_out import FanOut
from buildflow_nb.local_cloud.storage.front import front
from buildflow_nb.local_cloud.storage.kept_file import KeptFile
from buildflow_nb.local_cloud.storage.registrations import Registrations

__all__ = ("main",)

STOP_S = 5.0  # for requests that are being answered

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GooglePorts:
    """Where the server and the front listen, and where the emulator of the storage is."""

    pubsub: int
    front: int
    emulator: int


def main(words: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; gives the exit status."""
    found = _parser().parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    ports = GooglePorts(found.pubsub_port, found.front_port, found.emulator_port)
    try:
        asyncio.run(_serve(found.state, ports, observe=found.observe))
    except (BuildFlowError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400  (said in one line)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m buildflow_nb.local_cloud.gcp")
    parser.add_argument("--state", type=Path, required=True, help="folder of what is kept")
    for name in ("pubsub-port", "front-port", "emulator-port"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--observe", action="store_true", help="the emulator tells no events")
    return parser


async def _serve(state: Path, ports: GooglePorts, *, observe: bool) -> None:
    stopping = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, stopping.set)
    make_private(state / "pubsub")
    async with AsyncExitStack() as stack:
        server = PubSubServer(PubSubOptions(host=HOST, state=state / "pubsub"))
        await server.start(ports.pubsub)
        stack.push_async_callback(server.stop)
        kept = Registrations(KeptFile(state / "storage.json"))
        fan_out = FanOut(server.publish, kept)
        topic = f"projects/{EVENT_PROJECT}/topics/{EVENT_TOPIC}"
        server.create_topic(topic)
        server.on_publish(topic, lambda messages: _spread(fan_out, messages))
        app = front(ports.emulator, ports.front, kept, fan_out, observe=observe)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=STOP_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, ports.front).start()
        await stopping.wait()


def _spread(fan_out: FanOut, messages: Sequence[Pb]) -> None:
    for message in messages:
        fan_out.tell(dict(message.attributes), message.data)


if __name__ == "__main__":
    sys.exit(main())
