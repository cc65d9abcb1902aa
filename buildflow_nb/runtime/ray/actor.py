"""What stands in an actor's process: one replica, called from Ray's threads.

Ray takes it along by value, so it imports nothing that a machine of a cluster may lack: whether it
has this package, and which version, is the first thing that it is asked. What a replica raises is
told as text, since its class may be known in the actor only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Actor",)

LEAVES_S = 0.3  # until the last answer is under way


class Actor:
    """A replica, by its name; each answer is `(whether it worked, what came of it)`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._replica: object | None = None

    def about(self) -> Mapping[str, object]:
        """Which process this is, on which machine, and what it has installed."""
        import platform
        from importlib import metadata, util

        import ray

        try:
            package = metadata.version("buildflow-nb")
        except metadata.PackageNotFoundError:
            package = "unknown" if util.find_spec("buildflow_nb") else ""
        return {
            "pid": os.getpid(),
            "node": ray.get_runtime_context().get_node_id(),
            "package": package,
            "python": platform.python_version(),
            "ray": ray.__version__,
        }

    def begin(self, replica: str) -> tuple[bool, str]:
        """Make the replica, of a class that is named `module:Class`."""
        from importlib import import_module

        module, _, name = replica.partition(":")
        try:
            self._replica = getattr(import_module(module), name)(self._name)
        except Exception as error:  # noqa: BLE001  (told, whatever it is)
            return False, _told(error)
        return True, ""

    def call(self, method: str, payload: bytes) -> tuple[bool, bytes | str]:
        """Call the replica."""
        try:
            return True, self._replica.call(method, payload)  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001  (told, whatever it is)
            return False, _told(error)

    def beat(self) -> None:
        """Tell the replica that its host works."""
        if self._replica is not None:
            self._replica.beat()  # type: ignore[attr-defined]

    def end(self, grace_s: float) -> None:
        """Drain the replica, then end the process, even where Ray cannot."""
        import threading

        try:
            if self._replica is not None:
                self._replica.end(grace_s)  # type: ignore[attr-defined]
        finally:
            leaves = threading.Timer(LEAVES_S, os._exit, (0,))
            leaves.daemon = True
            leaves.start()


def _told(error: Exception) -> str:
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (a user's own __str__)
        said = ""
    kind = type(error).__name__
    return f"{kind}: {said}" if said else kind
