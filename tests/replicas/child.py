"""The far side of `child_host.py`: a replica in this process, called by frames on a pipe."""

from __future__ import annotations

import os
import struct
import sys
import threading

from buildflow_nb.runtime.replicas.replica import Replica


def main() -> None:
    """Serve until the pipe closes."""
    calls, answers = int(sys.argv[1]), int(sys.argv[2])
    replica = Replica(sys.argv[3], float(sys.argv[4]))
    lock = threading.Lock()

    def call(number: int, method: str, payload: bytes) -> None:
        reply = replica.call(method, payload)
        with lock:
            write(answers, struct.pack("!II", number, len(reply)) + reply)

    with os.fdopen(calls, "rb") as frames:
        while head := frames.read(12):
            number, name_size, size = struct.unpack("!III", head)
            method, payload = frames.read(name_size).decode(), frames.read(size)
            if method == "beat":
                replica.beat()
            else:
                threading.Thread(target=call, args=(number, method, payload), daemon=True).start()
    replica.end(5.0)
    os._exit(0)


def write(fd: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


if __name__ == "__main__":
    main()
