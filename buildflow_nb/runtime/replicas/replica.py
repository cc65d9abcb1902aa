"""The one thing in the process of a replica that its host knows: called with bytes, kept by beats.

A replica ends by itself, with a drain, when its host has not told it for `FENCE_S` that the run is
still there: a machine that is cut off, or whose run was killed, goes on consuming otherwise, beside
the replica that was started in its place. That watch is a thread of its own, since code of the
user's may hold the loop. It counts what it has seen of the silence: code that holds the
interpreter, or a machine that slept, have kept it from hearing as well.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, suppress

from buildflow_nb.core.alias import answer_to_buildflow
from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.observability.logs import captured
from buildflow_nb.runtime.replicas.host import FENCE_S
from buildflow_nb.runtime.replicas.reply import packed_error, packed_result
from buildflow_nb.runtime.replicas.work import METHODS, Work
from buildflow_nb.runtime.shipping import unpack

__all__ = ("END_S", "Replica")

END_S = 10.0  # what is in flight has so long to be finished, when nobody is there any more
CALL_S = 3_600.0  # the caller has deadlines of its own
_LOOK_S = 1.0


class Replica:
    """Hosts processors; its methods may be called on any thread, several at once."""

    def __init__(self, name: str, fence_s: float = FENCE_S) -> None:
        self.name = name
        self._fence_s = fence_s
        self._loop = loop_thread()
        self._work = Work()
        self._silent_s = 0.0
        self._captured = ExitStack()  # for as long as the process lives
        self._captured.enter_context(captured())
        answer_to_buildflow()  # as the command and the kernel do whose programs come here
        threading.Thread(target=self._watch, name="buildflow fence", daemon=True).start()

    def call(self, method: str, payload: bytes) -> bytes:
        """Call a method of `Work`: packed arguments in, a packed reply out. Never raises."""
        try:
            if method not in METHODS:
                msg = f"a replica has no method {method!r}; is its package of another version?"
                raise UsageError(msg)  # noqa: TRY301  (told like any other)
            arguments = unpack(payload)
            result = self._loop.run(getattr(self._work, method)(*arguments), CALL_S)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  (the caller raises it)
            return packed_error(error)
        return packed_result(result)

    def beat(self) -> None:
        """Be told that the run is there."""
        self._silent_s = 0.0

    def end(self, grace_s: float) -> None:
        """Finish what is in flight within `grace_s` seconds, give the rest back. Never raises."""
        with suppress(Exception):
            self._loop.run(self._work.close(grace_s), grace_s + 5.0)

    def _watch(self) -> None:
        look_s = min(_LOOK_S, self._fence_s)
        while self._silent_s < self._fence_s:
            began = time.monotonic()
            time.sleep(look_s)
            self._silent_s += min(time.monotonic() - began, 2 * look_s)
        self.end(END_S)
        os._exit(1)  # threads of the user's own must not keep it
