"""A process that opens a host and makes a replica, then waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys

from buildflow_nb.runtime.ray.host import RayHost
from buildflow_nb.runtime.replicas.host import Wants

from .rig import STAND_IN


async def main(address: str, diary: str) -> None:
    host = RayHost(address, replica=STAND_IN)
    await host.open(print)
    made = await host.spawn("orders", Wants(), print)
    await made.call("diary_at", diary.encode(), 10.0)
    assert host._driver is not None
    told = {"driver": host.pid, "replica": made.pid, "folder": str(host._driver._folder)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(300.0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
