"""The server as a program: `python -m buildflow_nb.local_cloud.pubsub --port 8085`.

Standard output gets one line when the server is ready, `{"port": 8085}`; the log goes to standard
error. SIGTERM and SIGINT stop it cleanly, with its state saved.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.server import PubSubServer

__all__ = ("main",)

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; gives the exit status."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        options = PubSubOptions(
            host=chosen.host, state=chosen.state, push_hosts=frozenset(chosen.push_host)
        )
        asyncio.run(_serve(options, chosen.port))
    except (BuildFlowError, OSError) as error:
        logger.error("%s", error)  # noqa: TRY400 (the message is for a person)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m buildflow_nb.local_cloud.pubsub",
        description="Google Cloud Pub/Sub on this machine.",
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine alone")
    parser.add_argument("--state", type=Path, help="folder that keeps messages over a restart")
    parser.add_argument(
        "--push-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a host beyond this machine that push subscriptions may post to",
    )
    return parser


async def _serve(options: PubSubOptions, port: int) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The loop's own handlers do not exist on Windows.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    server = PubSubServer(options)
    bound = await server.start(port)
    try:
        sys.stdout.write(json.dumps({"port": bound}) + "\n")
        sys.stdout.flush()
        await stopping.wait()
    finally:
        await server.stop()


if __name__ == "__main__":
    sys.exit(main())
