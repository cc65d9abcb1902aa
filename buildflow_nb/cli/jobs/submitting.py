"""`buildflow run --engine ray --address http://…`: the flow as a job of that cluster.

The project is packed and sent once, and the job runs `buildflow run` with the same words, on a
machine of the cluster. Nothing of this environment goes along: what the flow needs of secrets is
the cluster's own. Until its end the job's log is printed here, and the exit code is by its end.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from buildflow_nb.cli.jobs.package import Package, packaged
from buildflow_nb.cli.jobs.server import Job, JobServer, token_of
from buildflow_nb.cli.jobs.watching import Asked, Watch
from buildflow_nb.cli.output.terminal import Terminal, Terminated
from buildflow_nb.cli.table import TERMINAL, words_for
from buildflow_nb.core.engine_choice import RAY
from buildflow_nb.core.errors import RunError
from buildflow_nb.flow import Flow

__all__ = ("submit",)

Values = Mapping[str, Any]
STOP_WAIT_S = 60  # Ray kills after 3 seconds by itself, and a drain takes up to 30
_HERE_ALONE = {"reload": False, "from_build": None, "build_output_dir": None, "detach": False}
ENDED_BY_SIGNAL = 128
NO_COMMAND = 127  # of a shell


def submit(flow: Flow, values: Values, terminal: Terminal, address: str) -> int:
    """Have the flow run there, and follow it to its end; gives the exit code.

    Raises:
        UsageError: the project is too big, or the address or the token is none.
        RunError: the cluster takes no job, cannot be reached, or the job failed.
        KeyboardInterrupt: a signal came before there was a job.
    """
    server = JobServer(address, token_of(os.environ))
    config = flow.config
    package = packaged(config.folder, config.build_ignores)
    name = _name(flow.flow_id, values["run_id"])
    submission = _Submission(server, package, name, values, terminal)
    code = asyncio.run(submission.carried_out())
    if code is None:
        raise Terminated if submission.heard == signal.SIGTERM else KeyboardInterrupt
    return code


def _name(flow_id: str, run_id: str | None) -> str:
    """What the job is called: letters that need no quoting in a shell or an address."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", f"{flow_id}-{run_id or token_hex(4)}")


def entrypoint(values: Values) -> str:
    """What the job runs: the same words, on the cluster that it is on."""
    there = {**values, **_HERE_ALONE, "engine": RAY, "address": "auto"}
    return shlex.join(["buildflow", *words_for(TERMINAL["run"], there)])


class _Submission:
    def __init__(
        self, server: JobServer, package: Package, name: str, values: Values, terminal: Terminal
    ) -> None:
        self._server, self._package, self._name = server, package, name
        self._values, self._terminal = values, terminal
        self._begun = False
        self.heard = 0

    async def carried_out(self) -> int | None:
        """The exit code; `None` if a signal came before there was a job."""
        asked = Asked()
        try:
            with self._hearing(asked):
                async with self._server:
                    await self._submit()
                    return await self._followed(asked)
        except asyncio.CancelledError:
            if not self.heard:
                raise
            return None

    async def _followed(self, asked: Asked) -> int:
        if self._values["detach"]:
            self._give()
            return 0
        self._note(f"job {self._name} is at {self._server.address}; Ctrl-C asks it to stop")
        watch = Watch(self._server, self._name, _Log(self._terminal).say, self._note)
        job = await watch.until_ended(asked)
        if job is None:
            self._note(f"job {self._name} was asked to stop, and is left alone; {self._stop_it}")
            return ENDED_BY_SIGNAL + self.heard
        return self._end(job, stopped=asked.stop.is_set())

    async def _submit(self) -> None:
        version = await self._server.version()
        package = self._package
        if not await self._server.has(package.name):
            size = len(package.data)
            self._note(f"{package.files} files go to Ray {version} ({size:,} bytes)")
            await self._server.put(package.name, package.data)
        self._begun = True  # from here on there may be a job, which a signal is to stop
        await self._server.submit(
            {
                "entrypoint": entrypoint(self._values),
                "submission_id": self._name,
                "runtime_env": {
                    "working_dir": package.uri,
                    "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)},
                },
            }
        )

    def _end(self, job: Job, *, stopped: bool) -> int:
        """The exit code of a job that ended well.

        Raises:
            RunError: it did not.
        """
        if job.status == "SUCCEEDED" or (job.status == "STOPPED" and stopped):
            return 0
        if job.status == "STOPPED":
            msg = f"job {self._name} was stopped by somebody else"
            raise RunError(msg)
        why = job.message.partition(", last available logs")[0].strip() or "without a reason"
        if job.exit_code == NO_COMMAND:
            why = "there is no command buildflow; install buildflow_nb in the cluster's image"
        msg = f"job {self._name} failed: {' '.join(why.split())}"
        raise RunError(msg)

    @property
    def _stop_it(self) -> str:
        return f"stop it by: ray job stop {self._name} --address {self._server.address}"

    def _give(self) -> None:
        self._terminal.give(
            {"job": self._name, "address": self._server.address},
            f"job {self._name} is at {self._server.address}; {self._stop_it}",
        )

    def _note(self, text: str) -> None:
        self._terminal.note(text)

    @contextmanager
    def _hearing(self, asked: Asked) -> Iterator[None]:
        """Take signals for what they mean at this stage: give up, stop the job, or leave it."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def hear(number: int, frame: object) -> None:  # noqa: ARG001  (a handler's signature)
            self.heard = number
            loop.call_soon_threadsafe(act)

        def act() -> None:
            if not self._begun:
                if task is not None:
                    task.cancel()
            elif asked.again():
                self._note(f"job {self._name} is asked to stop, and drains; once more leaves it")

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, hear) for number in numbers}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)


class _Log:
    """Prints a job's log; under `--json` what is no document goes to stderr."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal, self._rest = terminal, ""

    def say(self, text: str) -> None:
        if not self._terminal.json:
            self._terminal.out.write(text)
            self._terminal.out.flush()
            return
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            stream = self._terminal.out if line.startswith("{") else sys.stderr
            stream.write(f"{line}\n")
            stream.flush()
