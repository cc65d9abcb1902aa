"""A collector that is killed under clients: what was acknowledged is there."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

from tests.faults.child import Orders
from tests.faults.ground import Ground
from tests.faults.process import Child
from tests.faults.stores import found_in
from tests.faults.tally import Tally

__all__ = ("collector_killed",)

CLIENTS = 4
TIMEOUT_S = 5.0
PAUSE_S = 0.02
GIVE_UP_S = 60.0


def collector_killed(sink: str, ground: Ground, kills: int, each: int) -> Tally:
    """Clients send each of their numbers until it is acknowledged with 200."""
    folder = ground.folder(f"collector-{sink}")
    port = _free_port()
    orders = Orders(str(folder), "http", sink, port=port)
    deadline = time.monotonic() + GIVE_UP_S
    acknowledged: list[int] = []
    clients = [
        threading.Thread(
            target=_send, args=(port, range(i, each * CLIENTS, CLIENTS), acknowledged, deadline)
        )
        for i in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    done = 0
    while any(client.is_alive() for client in clients):
        with Child(orders) as child:
            child.wait_up()
            if done < kills:
                time.sleep(ground.rng.uniform(0.1, 0.8))
                child.kill()
                done += 1
                continue
            for client in clients:
                client.join(GIVE_UP_S)
    missing = each * CLIENTS - len(acknowledged)
    wrong = f"{missing} requests were never acknowledged" if missing else ""
    found = found_in(sink, folder)
    return Tally.of(f"collector to {sink}, killed", done, acknowledged, found, wrong=wrong)


def _send(port: int, numbers: range, acknowledged: list[int], deadline: float) -> None:
    for n in numbers:
        while time.monotonic() < deadline:
            if _posted(port, n):
                acknowledged.append(n)
                break
            time.sleep(PAUSE_S)


def _posted(port: int, n: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", "/take", json.dumps({"n": n}), kind)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return answer.status == http.client.OK
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
