"""Preview, apply, refresh and destroy a stack, told as events while they happen.

The engine works in a process of its own and is waited for in a thread of its own; the caller's
thread hears the events, one after another, and can be interrupted at any moment: the first time
the engine is asked to end after the step under way, the second time it is killed. Where the caller
is not the main thread, which alone hears an interrupt, a `Stop` does the same. Either way, and
after any sudden death, the next operation finds out by itself what was left (`recover.py`).
One operation at a time works on a stack.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from buildflow_nb.core.errors import BuildFlowError, InfraError
from buildflow_nb.core.status.operations import (
    Operation,
    OperationEvent,
    OperationListener,
    Result,
    Summary,
)
from buildflow_nb.infra.pulumi.cli import get_cli
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.stop import Stop

if TYPE_CHECKING:
    from buildflow_nb.infra.pulumi.engine_run import EngineRun

__all__ = ("not_begun", "operate", "warm_up")

EVENTS = 1_000  # told but not yet heard; the engine waits when a listener is slower
HEAR_S = 0.2  # how soon an interrupt is noticed
BEGIN_S = 2.0  # for a thread to begin whose start was interrupted


def operate(
    deployment: Deployment,
    operation: Operation,
    listener: OperationListener = lambda _: None,
    stop: Stop | None = None,
) -> Summary:
    """Carry out an operation; `listener` is called on this thread, `stop` asked on any other.

    A step that fails is not raised but told by the summary.

    Raises:
        InfraError: it could not begin: no engine, a locked stack, a wrong passphrase.
        DeclarationError: the primitives cannot be put in order.
    """
    job = _Job(deployment, operation)
    with stop.heard_by(job.interrupt) if stop is not None else nullcontext():
        try:
            job.start()  # an interrupt may come in the middle of it
            return job.hear_out(listener)
        except BaseException:
            job.interrupt()  # a listener that fails must not leave an engine at work behind
            job.join()
            raise


def not_begun(operation: Operation) -> Summary:
    """The summary of an operation that was to stop before it began."""
    error = f"{operation.value} was interrupted; nothing was begun"
    return Summary(operation, Result.CANCELLED, error=error)


def warm_up() -> None:
    """Load the SDK in the background, which takes a second or two, while a person reads."""

    def load() -> None:
        import pulumi_aws
        import pulumi_gcp

        from buildflow_nb.infra.pulumi import engine_run

        del pulumi_aws, pulumi_gcp, engine_run

    threading.Thread(target=load, name="pulumi imports", daemon=True).start()


class _Job:
    """An operation under way on a thread of its own."""

    def __init__(self, deployment: Deployment, operation: Operation) -> None:
        self._deployment = deployment
        self._operation = operation
        self._events: queue.Queue[OperationEvent | None] = queue.Queue(EVENTS)
        self._work: EngineRun | None = None
        self._lock = threading.Lock()  # between what was asked and who is to hear it
        self._asked = 0
        self._error: BaseException | None = None
        self._began = False
        self._summary: Summary | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"pulumi {operation.value}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hear_out(self, listener: OperationListener) -> Summary:
        """Hand on events until the end."""
        while True:
            try:
                event = self._events.get(timeout=HEAR_S)
            except queue.Empty:
                continue
            except KeyboardInterrupt:
                self.interrupt()
                continue
            if event is None:
                break
            listener(event)
        if self._error is not None:
            raise self._error
        assert self._summary is not None  # noqa: S101  (the thread ended without an error)
        listener(self._summary)
        return self._summary

    def interrupt(self) -> None:
        """Ask the engine to end; asked again, kill it."""
        with self._lock:
            self._asked += 1
            if self._work is not None:
                self._work.interrupt()

    def join(self) -> None:
        """Wait for the end, hearing nothing; of a thread that never began there is none."""
        ends = time.monotonic() + BEGIN_S
        while self._thread.is_alive() or (not self._began and time.monotonic() < ends):
            with suppress(queue.Empty):
                if self._events.get(timeout=HEAR_S) is None:
                    return

    def _run(self) -> None:
        self._began = True
        began = time.monotonic()
        try:
            from buildflow_nb.infra.pulumi.engine_run import EngineRun

            cli = get_cli()
            engine_run = EngineRun(self._deployment, self._operation, cli, self._events.put)
            with self._lock:
                self._work = engine_run
                for _ in range(self._asked):
                    engine_run.interrupt()
            self._summary = engine_run.do(began)
        except BuildFlowError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001  (the boundary: told to whoever waits)
            msg = f"{self._operation.value} failed: {type(error).__name__}: {error}"
            self._error = InfraError(msg)
            self._error.__cause__ = error
        finally:
            self._events.put(None)
