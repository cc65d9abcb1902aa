"""A flow's cloud resources: previewed, applied, refreshed and destroyed.

Each waits on the caller's thread until the engine has ended; from another thread a `Stop` ends it.
Called inside a running event loop that is no kernel's, it goes on beside the loop and is awaited.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from buildflow_nb.core.config import Config
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.portable import declared_as, elsewhere
from buildflow_nb.core.status.operations import (
    Confirm,
    Consent,
    DeclaredPrimitives,
    Deletions,
    Operation,
    OperationEvent,
    OperationListener,
    Outcome,
    Result,
    Summary,
)
from buildflow_nb.core.status.stack_view import StackView
from buildflow_nb.core.surroundings import kernel
from buildflow_nb.flow.declaring import Declaring
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.infra.stop import Stop

if TYPE_CHECKING:
    from buildflow_nb.core.status.plan import Review
    from buildflow_nb.runtime.handle import RunHandle

__all__ = ("Provisioning",)


def _ask(plan: Outcome) -> bool:
    from buildflow_nb.infra.ask import ask

    return ask(plan)


class Provisioning(Declaring):
    """A flow that owns cloud resources."""

    config: Config
    handle: RunHandle | None
    options: FlowOptions
    identity: str

    def on(self, stack: str | None) -> Self:
        """The same declarations on another stack of buildflow.yaml; None means this one.

        Raises:
            ConfigError: there is no such stack; names the nearest.
        """
        if stack is None or stack == self.stack:
            return self
        other = copy.copy(self)
        other.options = replace(self.options, stack=stack)
        other.place = self._place(other.options)
        other.stack, other.handle = stack, None
        if any(map(declared_as, self.registry.primitives)):
            env = other.place.env()
            other.registry = self.registry.elsewhere(lambda one: elsewhere(one, env))
        return other

    def stack_view(self) -> StackView:
        """The stack as its state says, at once: neither the engine nor a cloud is asked."""
        return self.place.view(self.registry.managed)

    def preview(
        self, listener: OperationListener = lambda _: None, *, stop: Stop | None = None
    ) -> Outcome:
        """What `apply` would create, change and delete.

        Raises:
            InfraError: the engine cannot work, the program or a provider failed, or it was stopped.
        """
        return self._look(Operation.PREVIEW, listener, stop)

    def apply(
        self,
        *,
        yes: bool = False,
        delete: bool = False,
        confirm: Confirm = _ask,
        listener: OperationListener = lambda _: None,
        stop: Stop | None = None,
    ) -> Outcome:
        """Make the cloud resources as declared; `confirm` is asked unless `yes` or the options say.

        What another notebook or program applied, more than is created, and what was not declared
        in this session is deleted only once that is confirmed, or with `delete`.

        Raises:
            RejectedError: the answer was no, or deletions that need one were not asked about.
            InfraError: it failed or was interrupted; what was done is kept.
            UsageError: nobody can be asked.
        """
        consent = Consent(None if yes else confirm, delete)
        return self._change(Operation.APPLY, consent, listener, stop)

    def refresh(
        self, listener: OperationListener = lambda _: None, *, stop: Stop | None = None
    ) -> Outcome:
        """Look at the cloud and note what was changed there behind the flow's back.

        Raises:
            InfraError: it failed or was interrupted.
        """
        return self._look(Operation.REFRESH, listener, stop)

    def destroy(
        self,
        *,
        yes: bool = False,
        delete: bool = False,
        confirm: Confirm = _ask,
        listener: OperationListener = lambda _: None,
        stop: Stop | None = None,
    ) -> Outcome:
        """Delete every cloud resource of the stack; `confirm` is asked as for `apply`.

        What others applied is deleted only once that is confirmed, or with `delete`.

        Raises:
            RejectedError: the answer was no, or what others applied was not asked about.
            InfraError: it failed or was interrupted; what was done is kept.
            UsageError: nobody can be asked.
        """
        consent = Consent(None if yes else confirm, delete)
        return self._change(Operation.DESTROY, consent, listener, stop)

    def _look(
        self, operation: Operation, listener: OperationListener, stop: Stop | None
    ) -> Outcome:
        from buildflow_nb.infra.flow_operation import finished

        self._note_usage()
        declared = self._declared()
        return here_or_beside(
            lambda stop: finished(self.place.operate(operation, declared, listener, stop)), stop
        )

    def _change(
        self,
        operation: Operation,
        consent: Consent,
        listener: OperationListener,
        stop: Stop | None,
    ) -> Outcome:
        asks = self.options.require_confirmation
        given = consent if asks else replace(consent, confirm=None)
        self._note_usage()
        declared = self._declared()

        def change(stop: Stop | None) -> Outcome:
            outcome = self.place.change(operation, declared, given, listener, stop)
            self._mark(operation, outcome)
            return outcome

        return here_or_beside(change, stop)

    def _mark(self, operation: Operation, outcome: Outcome) -> None:
        """Have charts of what runs show when the cloud was changed beneath it."""
        run, done = self.handle, outcome.summary
        if run is not None and run.running and done.result is Result.DONE and done.changes:
            kind = "applied" if operation is Operation.APPLY else "destroyed"
            with suppress(TimeoutError):  # a loop that is held has no chart of this moment either
                run.history.mark(kind, str(sum(done.changes.values())))

    def _note_usage(self) -> None:
        """Keep what the last run has measured, for what plans cost; a flow that runs knows it."""

    def _declared(self) -> DeclaredPrimitives:
        return DeclaredPrimitives(self.registry.managed, self.registry.mentioned)

    def _place(self, options: FlowOptions) -> FlowStack:
        """The stack that the options name."""
        stack = self.config.stack(options.stack)
        return FlowStack(self.config, stack, options, self.flow_id, self.identity)


# Work that blocks, for callers that must not: beside a running event loop it goes on in a thread.
# In a script, and in a kernel whose cells wait as a terminal does, the work is done when the call
# returns. Where a program's own event loop runs, the call returns at once with an `Outcome` that
# is to be awaited; cancelling that wait asks the work to stop, as an interrupt would, and waits
# for it.

STEP_S = 60.0  # the step under way may take that long to end


def here_or_beside(work: Callable[[Stop | None], Outcome], stop: Stop | None) -> Outcome:
    """Do the work and give its outcome, or begin it and give what is to be awaited.

    Raises:
        Exception: whatever the work raised; beside a loop it is raised where it is awaited.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return work(stop)
    if kernel() is not None:
        return work(stop)
    ending = stop or Stop()
    return PendingOutcome(loop.run_in_executor(None, work, ending), ending)


class PendingOutcome(Outcome):
    """An operation under way: await it for its outcome."""

    __slots__ = ("_stop", "_work")

    _work: asyncio.Future[Outcome]
    _stop: Stop

    def __init__(self, work: asyncio.Future[Outcome], stop: Stop) -> None:
        object.__setattr__(self, "_work", work)
        object.__setattr__(self, "_stop", stop)

    @property
    def summary(self) -> Summary:
        """How it ended."""
        return self._done().summary

    @property
    def events(self) -> tuple[OperationEvent, ...]:
        """What happened."""
        return self._done().events

    @property
    def deletions(self) -> Deletions:
        """What a plan has of them."""
        return self._done().deletions

    @property
    def review(self) -> Review | None:
        """What else there is to say of a plan."""
        return self._done().review

    def __repr__(self) -> str:
        return repr(self._done()) if self._work.done() else "PendingOutcome: await it"

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._wait().__await__()

    async def _wait(self) -> Outcome:
        try:
            return await asyncio.shield(self._work)
        except asyncio.CancelledError:
            self._stop.ask()
            done, _ = await asyncio.wait([self._work], timeout=STEP_S)
            if not done:
                self._stop.ask()  # twice means: at once
            self._work.add_done_callback(lambda work: work.exception())  # no news: it was asked to
            raise

    def _done(self) -> Outcome:
        if not self._work.done():
            msg = "the operation is under way; await it, as in: await app.preview()"
            raise UsageError(msg)
        return self._work.result()
