"""Pulumi's engine as a process that a person can interrupt, and a stack that does no work in vain.

An interrupt of a kernel or a terminal goes to its whole process group. The engine gets a session
of its own, so that such an interrupt does not kill it in the middle of a step: `interrupt` asks it
to end after the step under way, to save its state and release its lock (Pulumi CLI, SIGINT);
asked again, it is killed.

The Automation API opens the stack's secrets three times after the work, to fetch outputs and
history that nobody asked for; each costs about as much as a preview. `LeanStack` leaves that out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from pulumi import automation
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error

from buildflow_nb.infra.pulumi.cli import Cli

__all__ = ("Engine", "LeanStack")

GIVE_UP_S = 24 * 3600.0  # a database can take an hour to make; nothing takes a day
READ_S = 10.0  # to read what is left in the pipes of an ended process


class Engine(automation.PulumiCommand):
    """Runs the CLI in a session of its own, at most one command at a time.

    `hidden` are names of environment variables that the engine must not see.
    """

    def __init__(self, cli: Cli, hidden: tuple[str, ...] = ()) -> None:
        from semver import VersionInfo

        self.command = str(cli.path)
        self.version = VersionInfo.parse(cli.version)
        self._hidden = hidden
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._asked = 0
        self.on_start: Callable[[int], None] = lambda _: None

    @property
    def interrupted(self) -> bool:
        """Whether somebody asked for the end."""
        return self._asked > 0

    def interrupt(self) -> None:
        """Ask the command under way to end after its step; asked again, kill it.

        No further command begins after that, whether one was under way or not.
        """
        with self._lock:
            self._asked += 1
            process, asked = self._process, self._asked
            if process is not None and process.poll() is None:
                _signal(process, signal.SIGINT if asked == 1 else signal.SIGKILL)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Run one command to its end.

        Raises:
            CommandError: it failed, or was not begun; the subclass says how, as in the SDK.
        """
        process = self._start([self.command, "--non-interactive", *args], cwd, additional_env)
        self.on_start(process.pid)
        with process:
            out, err = _Lines(process.stdout, on_output), _Lines(process.stderr, on_error)
            code = process.wait(GIVE_UP_S)
            result = CommandResult(out.text(), err.text(), code)
        if code != 0:
            raise create_command_error(result)
        return result

    def _start(self, words: list[str], cwd: str, more: Mapping[str, str]) -> subprocess.Popen[str]:
        seen = {k: v for k, v in os.environ.items() if k not in self._hidden}
        with self._lock:
            if self._asked:
                raise create_command_error(CommandResult("", "interrupted before it began", 1))
            self._process = subprocess.Popen(  # noqa: S603  (the program that was found, and no shell)
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env={**seen, **more, "PULUMI_AUTOMATION_API": "true"},
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            return self._process


class _Lines:
    """Reads a pipe on a thread of its own, so that the process never waits for its reader."""

    def __init__(self, pipe: IO[str] | None, each: Callable[[str], Any] | None) -> None:
        self._pipe = pipe
        self._each = each
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, name="pulumi output", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Everything that came, once the process has ended."""
        self._thread.join(READ_S)
        return "\n".join(self._lines)

    def _read(self) -> None:
        for line in self._pipe or ():
            self._lines.append(line.rstrip())
            if self._each is not None:
                self._each(self._lines[-1])


def _signal(process: subprocess.Popen[str], which: signal.Signals) -> None:
    try:
        os.killpg(process.pid, which)
    except ProcessLookupError:
        pass  # it ended meanwhile
    except AttributeError:  # Windows has no process groups of this kind
        process.send_signal(which)


class LeanStack(automation.Stack):
    """A stack that is neither selected beforehand nor asked for outputs and history afterwards."""

    def __init__(self, name: str, workspace: automation.LocalWorkspace) -> None:
        self.name = name
        self.workspace = workspace
        self._mode = automation._stack.StackInitMode.SELECT  # noqa: SLF001  (what its repr shows)

    def outputs(self) -> automation.OutputMap:
        """Nothing: what primitives need of each other is passed inside the program."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002
        """A blank: the event stream has told the summary already."""
        now = datetime.now(UTC)
        return automation.UpdateSummary("", now, "", {}, {}, "succeeded", now)
