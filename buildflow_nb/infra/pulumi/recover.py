"""What a sudden end left behind, and how the next operation mends it.

* A lock of an engine that is dead is removed; of one that lives, the error names it.
* An engine that outlived its kernel is asked to end, then killed: it has lost its program. A later
  process that has its number is left alone.
* Creations that were cut off are looked up and adopted (`adopt.py`), before anything is made again.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psutil
from pulumi.automation.errors import ConcurrentUpdateError

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.own_json import read_own
from buildflow_nb.core.process_id import ProcessId, end, process_name
from buildflow_nb.core.status.operations import Diagnostic, OperationListener
from buildflow_nb.infra.pulumi.adopt import adopted
from buildflow_nb.infra.pulumi.deployment import Deployment

if TYPE_CHECKING:
    from buildflow_nb.infra.pulumi.engine import LeanStack

__all__ = ("Recovery",)

END_S = 30.0  # for the step that an orphaned engine has under way
_LOCK = re.compile(r"created by (?P<who>.*@(?P<host>\S+)) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")
_LOCKS = re.compile(r"currently locked by (?P<count>\d+) lock")


class Recovery:
    """Mends one stack's state; used by whoever holds the stack's lock."""

    def __init__(self, deployment: Deployment, stack: LeanStack, tell: OperationListener) -> None:
        self._deployment = deployment
        self._stack = stack
        self._tell = tell

    def before(self, orphan: ProcessId | None) -> None:
        """Mend what is known to be left: `orphan` is the engine of a holder that died, if any."""
        if orphan is not None:
            end([orphan], END_S)
        if not self.pending(unknown=orphan is not None):
            return
        try:
            self._adopt()
        except ConcurrentUpdateError as error:
            self.unlock(str(error))

    def pending(self, *, unknown: bool = False) -> bool:
        """Whether the state has operations that were cut off.

        A state that is not on this machine cannot be read in passing: `unknown` is answered then.
        """
        if self._deployment.state is None:
            return unknown
        return bool(self._latest().get("pending_operations"))

    def empty(self) -> bool:
        """Whether the state has no resource.

        Raises:
            StackNotFoundError: there is no such stack.
        """
        if self._deployment.state is None:
            return not (self._stack.export_stack().deployment or {}).get("resources")
        return not self._latest().get("resources") and not self.pending()

    def _latest(self) -> Mapping[str, Any]:
        """The state, where it is a file of this machine; of a damaged one the engine tells more."""
        path = self._deployment.state
        try:
            state = read_own(path, dict[str, Any]) if path is not None else {}
            return dict(state.get("checkpoint", {}).get("latest") or {})
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError):
            return {"resources": ["unreadable"]}

    def unlock(self, text: str) -> None:
        """Remove the lock that the engine complains about, if its holder is dead.

        Raises:
            InfraError: it lives, or lives on another machine.
        """
        name = self._stack.name
        locks, told = list(_LOCK.finditer(text)), _LOCKS.search(text)
        if told is None or len(locks) < int(told["count"]):
            msg = (
                f"stack {name!r} is locked; wait until whoever works on it has ended; if nobody "
                "does, `pulumi cancel` removes the lock"
            )
            raise InfraError(msg, text)
        for lock in locks:
            pid = int(lock["pid"])
            if lock["host"] != socket.gethostname() or _is_engine(pid):
                msg = (
                    f"stack {name!r} is locked by {lock['who']} ({self._process(lock)}) "
                    f"since {lock['at']}; wait until it has ended; if it is dead, "
                    "`pulumi cancel` removes its lock"
                )
                raise InfraError(msg, text)
        self._stack.cancel()
        self._say(f"removed the lock that a dead engine left on stack {name!r}")
        if self.pending(unknown=True):
            self._adopt()

    def _process(self, lock: re.Match[str]) -> str:
        """The holder of a lock; of one on another machine there is but its number."""
        pid = int(lock["pid"])
        return process_name(pid) if lock["host"] == socket.gethostname() else f"process {pid}"

    def _adopt(self) -> None:
        before = self._stack.export_stack()
        after, unknown = adopted(before, self._deployment.env)
        self._stack.import_stack(after)
        self._say("an operation was cut off before; what it had begun is looked up again")
        for urn in unknown:
            name = urn.rpartition("::")[2]
            text = f"the creation of {name} was cut off; look whether it is there: {urn}"
            self._tell(Diagnostic("warning", text, urn))

    def _say(self, text: str) -> None:
        self._tell(Diagnostic("info", text))


def _is_engine(pid: int) -> bool:
    """Whether a process lives that may be the engine of a lock; it is believed, never ended."""
    try:
        process = psutil.Process(pid)
        return "pulumi" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False
