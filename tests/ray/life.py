"""A program that works a shared queue off in replicas of a Ray of its own, and may be killed."""

from __future__ import annotations

import sys
import time

from buildflow_nb import Flow
from tests.replicas.shared_queue import SharedQueue, SharedRows


def main(path: str) -> None:
    """Say "up" when it runs, and end once nothing is left."""
    app = Flow()

    def price(order: dict) -> dict:
        time.sleep(0.004)
        return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(price)
    run = app.run(engine="ray", block=False)
    print("up", flush=True)  # noqa: T201
    run.wait_until(drained=True, timeout=60.0)
    run.stop()


if __name__ == "__main__":
    main(sys.argv[1])
