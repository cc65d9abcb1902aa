"""A Ray cluster on loopback, in a process of its own: told on stdin, it answers with JSON lines.

It ends with whoever started it, by what it started, each by its number.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints there
    from ray.cluster_utils import Cluster

    cluster, nodes = Cluster(), {}

    def add(name: str, num_cpus: int, path: str = "") -> object:
        before = os.environ["PYTHONPATH"]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (path, before)))
        try:
            nodes[name] = cluster.add_node(num_cpus=num_cpus, include_dashboard=False)
        finally:
            os.environ["PYTHONPATH"] = before
        return cluster.address

    def remove(name: str) -> object:
        cluster.remove_node(nodes.pop(name), allow_graceful=False)
        return ""

    def pid(process: str) -> object:
        head = cluster.head_node
        return [one.process.pid for one in head.all_processes[process]]

    known: dict[str, Any] = {"add": add, "remove": remove, "pid": pid}
    try:
        for line in sys.stdin:
            name, *words = json.loads(line)
            try:
                answer = {"value": known[name](*words)}
            except Exception as error:  # noqa: BLE001
                answer = {"error": repr(error)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    finally:
        for node in [*cluster.worker_nodes, cluster.head_node]:
            if node is not None:
                node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        os._exit(0)  # the hooks of Ray's would end them once more


if __name__ == "__main__":
    main()
