"""A process that opens a host and makes a replica, then waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from buildflow_nb.runtime.ray.driver_process import DriverProcess
from buildflow_nb.runtime.ray.host import RayHost
from buildflow_nb.runtime.replicas.host import Wants

from .rig import STAND_IN

STARTING = "starting"


async def start(host: RayHost) -> None:
    """Tell of the driver as soon as there is one."""
    begin = DriverProcess.start

    async def told(*words: Any) -> DriverProcess:
        driver = await begin(*words)
        tell(driver.pid, 0, driver)
        return driver

    DriverProcess.start = told  # type: ignore[method-assign]
    await host.open(print)
    await asyncio.sleep(300.0)


def tell(driver: int, replica: int, process: DriverProcess) -> None:
    told = {"driver": driver, "replica": replica, "folder": str(process._folder)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def main(address: str, diary: str) -> None:
    host = RayHost(address, replica=STAND_IN)
    if diary == STARTING:
        await start(host)
        return
    await host.open(print)
    made = await host.spawn("orders", Wants(), print)
    await made.call("diary_at", diary.encode(), 10.0)
    assert host._driver is not None
    tell(host.pid, made.pid, host._driver)
    await asyncio.sleep(300.0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
