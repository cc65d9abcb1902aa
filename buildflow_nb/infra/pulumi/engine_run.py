"""One operation of the engine, from the lock to the summary; runs on a thread of its own.

Imported when an operation begins, since it loads the SDK.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pulumi import automation
from pulumi.automation.errors import (
    CommandError,
    ConcurrentUpdateError,
    InlineSourceRuntimeError,
    StackNotFoundError,
)

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.status.operations import (
    Diagnostic,
    Operation,
    OperationListener,
    Result,
    Summary,
)
from buildflow_nb.infra.managed import keys_of
from buildflow_nb.infra.pulumi.cli import Cli
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.engine import Engine, LeanStack
from buildflow_nb.infra.pulumi.engine_events import EngineEvents, first_error
from buildflow_nb.infra.pulumi.last_state import LastState
from buildflow_nb.infra.pulumi.program import program
from buildflow_nb.infra.pulumi.recover import Recovery
from buildflow_nb.infra.pulumi.stack_lock import StackLock, lock_stack
from buildflow_nb.infra.pulumi.state_mark import mark_of, state_mark
from buildflow_nb.infra.pulumi.taking_over import left_behind, take_over
from buildflow_nb.infra.report import gist, reason

__all__ = ("KEPT_FILES", "EngineRun", "prune")

KEPT_FILES = 40  # logs, and files of its history, four an operation
# What the engine (3.259) names them: the log of a command, of a stack's update, and its history.
_LOG = re.compile(r"(?:pulumi-\d{8}T\d{6}-\d+-\w+|[^+]+\+[^+]+\+[^+]+-\d{8}T\d{6})\.log")
_HISTORY = re.compile(r".+-\d{16,}\.(?:history|checkpoint)\.json(?:\.gz)?(?:\.attrs|\.bak)?")

# An engine that is killed cuts its stream of events; the operation itself says so.
warnings.filterwarnings("ignore", "Error in event stream", UserWarning)


class EngineRun:
    """An operation on a stack."""

    def __init__(
        self, deployment: Deployment, operation: Operation, cli: Cli, tell: OperationListener
    ) -> None:
        self._deployment = deployment
        self._operation = operation
        self._tell = tell
        self._engine = Engine(cli, deployment.hidden())
        self._events = EngineEvents(tell, operation)

    def interrupt(self) -> None:
        """Ask the engine to end after the step under way; asked again, kill it."""
        self._engine.interrupt()

    def do(self, began: float) -> Summary:
        """Do it, and give how it ended; `began` is on the monotonic clock, in seconds.

        Raises:
            InfraError: it could not begin.
        """
        found = self._deployment
        found.prepare()
        stack = found.stack.name
        keys = keys_of(found.managed)
        with lock_stack(found.lock, stack, self._operation, found.identity, keys) as lock:
            lock.begin()
            self._engine.on_start = lock.engine
            self._refuse_changed(lock)
            last = LastState(found)
            said = last.mend()
            if said:
                self._tell(Diagnostic("warning", said))
            self._take_over(lock)
            last.keep()
            engine = self._stack()
            recovery = Recovery(found, engine, self._tell)
            try:
                recovery.before(lock.unfinished)
                failure = self._run(engine, recovery)
            except CommandError as error:  # of a command before the operation itself
                failure = error
            self._end(lock, recovery)
            self._tell_left()
            mark = self._mark(engine) if self._operation is Operation.PREVIEW else ""
            prune(found)
        return replace(self._summary(failure, time.monotonic() - began), mark=mark)

    def _refuse_changed(self, lock: StackLock) -> None:
        """Work only on the state that the plan was made of.

        Raises:
            InfraError: it is another one by now.
        """
        found = self._deployment
        if not found.expected or self._mark(None) == found.expected:
            return
        lock.nothing_begun()
        msg = (
            f"stack {found.stack.name!r} was changed by somebody else since it was looked at; "
            "nothing was changed here: look at it again"
        )
        raise InfraError(msg)

    def _mark(self, engine: LeanStack | None) -> str:
        """The mark of the state as it is now, which the engine is asked for where it is away."""
        if self._deployment.state is not None:
            return state_mark(self._deployment)
        try:
            kept = (engine or self._stack()).export_stack().deployment or {}
        except CommandError:
            return ""
        return mark_of(kept.get("resources") or ())

    def _tell_left(self) -> None:
        """After a destroy, say what files that are gone have left, which nothing else would."""
        if self._operation is Operation.DESTROY:
            for text in left_behind(self._deployment):
                self._tell(Diagnostic("warning", text))

    def _take_over(self, lock: StackLock) -> None:
        try:
            taken = take_over(self._deployment, self._operation)
        except InfraError:
            lock.nothing_begun()
            raise
        if taken:
            self._tell(Diagnostic("info", taken))

    def _end(self, lock: StackLock, recovery: Recovery) -> None:
        if not recovery.pending():
            lock.finish()

    def _stack(self) -> LeanStack:
        found = self._deployment
        workspace = automation.LocalWorkspace(
            work_dir=str(found.work_dir),
            program=program(found.managed, found.env, found.identity, protect=found.protect),
            env_vars=found.environment(),
            project_settings=automation.ProjectSettings(found.name, runtime="python"),
            pulumi_command=self._engine,
        )
        return LeanStack(found.stack.name, workspace)

    def _run(self, stack: LeanStack, recovery: Recovery) -> CommandError | None:
        """Run the engine, again if what stopped it could be mended."""
        state = self._deployment.state
        destroys = self._operation is Operation.DESTROY
        try:
            if destroys and recovery.empty():
                return None  # an engine that destroys nothing would leave the program's providers
            if state is not None and not state.exists():
                stack.workspace.create_stack(stack.name)
            return self._attempt(stack)
        except StackNotFoundError:
            if destroys:
                return None
            stack.workspace.create_stack(stack.name)
        except ConcurrentUpdateError as error:
            recovery.unlock(str(error))
        return self._attempt(stack, last=True)

    def _attempt(self, stack: LeanStack, *, last: bool = False) -> CommandError | None:
        try:
            self._operations(stack)[self._operation]()
        except InlineSourceRuntimeError as error:
            if self._operation is not Operation.DESTROY or self._engine.interrupted:
                return error
            return self._destroy_without_program(stack)
        except (StackNotFoundError, ConcurrentUpdateError) as error:
            if not last:
                raise
            return error
        except CommandError as error:
            return error
        except RuntimeError as error:  # a preview that was cut off has no summary
            raise InfraError(str(error)) from error
        return None

    def _destroy_without_program(self, stack: LeanStack) -> CommandError | None:
        """Destroy with the providers as the state has them: a broken program must not forbid it."""
        why = gist(next(iter(self._events.errors), ""))
        self._events.errors.clear()
        text = f"the program failed ({why}); destroying with the providers of the last apply"
        self._tell(Diagnostic("warning", text))
        try:
            stack.destroy(color="never", on_event=self._events.hear, suppress_progress=True)
        except CommandError as error:
            return error
        return None

    def _operations(self, stack: LeanStack) -> dict[Operation, Callable[[], object]]:
        hear = self._events.hear
        refresh = self._deployment.refresh or None
        # The local cloud may have moved to other ports since the state was written.
        renewed = True if refresh and self._deployment.attached else None
        return {
            Operation.PREVIEW: lambda: stack.preview(
                color="never",
                on_event=hear,
                refresh=refresh,
                run_program=renewed,
                suppress_progress=True,
            ),
            Operation.APPLY: lambda: stack.up(
                color="never",
                on_event=hear,
                refresh=refresh,
                run_program=renewed,
                suppress_progress=True,
                suppress_outputs=True,
            ),
            Operation.REFRESH: lambda: stack.refresh(
                color="never", on_event=hear, run_program=True, suppress_progress=True
            ),
            Operation.DESTROY: lambda: stack.destroy(
                color="never", on_event=hear, run_program=True, suppress_progress=True
            ),
        }

    def _summary(self, failure: CommandError | None, seconds: float) -> Summary:
        heard = self._events
        result, error, text = Result.DONE, "", ""
        if failure is not None:
            text = str(failure)
            result = Result.CANCELLED if self._engine.interrupted else Result.FAILED
            error = self._why(text)
        return Summary(
            self._operation, result, heard.changes, heard.unchanged, seconds, error, text
        )

    def _why(self, text: str) -> str:
        if self._engine.interrupted:
            return f"{self._operation.value} was interrupted; what was done is kept"
        told = next(iter(self._events.errors), "") or first_error(text)
        return reason(text, told, self._deployment.stack.name, self._operation)


def prune(found: Deployment) -> None:
    """Keep the newest of what the engine leaves behind at every command."""
    _thin_out(found.home / "logs", _LOG)
    if found.stack.backend_url is None and found.state is not None:
        history = found.state.parents[2] / "history" / found.name / found.stack.name
        _thin_out(history, _HISTORY)


def _thin_out(place: Path, names: re.Pattern[str]) -> None:
    """Delete the oldest files of these names: the folder may be one that others keep files in."""
    with suppress(OSError):  # no such folder, or a file that another operation deleted
        with os.scandir(place) as entries:
            ours = [entry for entry in entries if names.fullmatch(entry.name)]
        files = [entry for entry in ours if entry.is_file(follow_symlinks=False)]
        for entry in sorted(files, key=lambda one: one.stat().st_mtime)[:-KEPT_FILES]:
            Path(entry).unlink(missing_ok=True)
