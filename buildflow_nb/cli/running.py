"""`buildflow run`: the flow, until it ends or is asked to.

The first SIGINT or SIGTERM drains, and the command ends with 0; the second ends at once, with
128 + the signal's number. A processor that failed, or a run whose every
element did, makes it 1, however the run ended.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from buildflow_nb.cli.child import Leash
from buildflow_nb.cli.entry import flow_asked
from buildflow_nb.cli.output.run import Teller, face_of
from buildflow_nb.cli.output.terminal import Terminal, Terminated
from buildflow_nb.cli.until import Bounds
from buildflow_nb.core.engine_choice import RAY
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.events import Event, Listener
from buildflow_nb.flow import Flow
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.ray.addresses import takes_jobs
from buildflow_nb.runtime.signals import serve_until_ended

__all__ = ("run",)

Values = Mapping[str, Any]
NO_RELOAD = "run: --reload watches files of this machine, and a job has none; leave it out"
NOTHING_TO_DETACH = (
    "run: --detach leaves a job alone that was submitted; add --engine ray --address "
    "http://head:8265, or leave it out"
)


def run(values: Values, terminal: Terminal) -> int:
    """Run the project's flow; gives the exit code.

    Raises:
        UsageError: bounds, a build or a subscriber is wrong.
        RunError: a processor failed, or the job of a cluster did.
        TimeoutError: what was waited for did not come in time; the run was drained.
    """
    bounds = Bounds.of(values)
    if values["reload"] and takes_jobs(values["address"]):
        raise UsageError(NO_RELOAD)
    if values["from_build"] and values["reload"]:
        msg = "run: --reload is for code that changes, and a build does not; leave one of them out"
        raise UsageError(msg)
    if values["from_build"]:
        from buildflow_nb.cli.building import unpacked

        folder = unpacked(Path(values["from_build"]), values["build_output_dir"])
        terminal.note(f"unpacked to {folder}, where files are read and written")
        os.chdir(folder)
    elif values["build_output_dir"]:
        msg = "run: --build-output-dir is where --from-build FILE unpacks; name one"
        raise UsageError(msg)
    if values["reload"]:
        from buildflow_nb.cli.reloading import run_reloading

        return run_reloading(values, terminal)
    return _run(values, terminal, bounds)


def _run(values: Values, terminal: Terminal, bounds: Bounds) -> int:
    leash = Leash.held()
    _hear_sigterm()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log is read while it is written
    flow = flow_asked(values)
    if not flow.processors:
        msg = f"flow {flow.flow_id!r} has no processor; declare one with @app.consumer(...)"
        raise UsageError(msg)
    subscriber = _subscriber(values["event_subscriber"])
    choice = flow.engine_choice(values["engine"], values["address"])
    if choice.name == RAY and choice.address and takes_jobs(choice.address):
        if leash is not None:
            raise UsageError(NO_RELOAD)
        from buildflow_nb.cli.jobs.submitting import submit

        return submit(flow, values, terminal, choice.address.strip())
    if values["detach"]:
        raise UsageError(NOTHING_TO_DETACH)
    if leash is not None:
        leash.wait_for_turn()
    if caution := flow.caution():
        terminal.note(caution)
    if said := flow.engine_said(values["engine"], values["address"]):
        terminal.note(said)
    teller = Teller(face_of(terminal))
    with teller.telling(), _page(flow, values, terminal):
        serve_until_ended(lambda: _begun(flow, values, bounds, teller, subscriber))
    bounds.raise_missed()
    return 0


@contextmanager
def _page(flow: Flow, values: Values, terminal: Terminal) -> Iterator[None]:
    """Serve the cockpit while the flow runs, where that is asked for.

    Raises:
        ServeError: its port cannot be had.
    """
    if not values["ui"]:
        yield
        return
    from buildflow_nb.cockpit.cockpit import Cockpit

    cockpit = Cockpit(lambda: flow, lambda: None)
    terminal.note(str(cockpit.open(values["ui_port"])))
    try:
        yield
    finally:
        cockpit.close()


def _hear_sigterm() -> None:
    """End on SIGTERM while the project is loaded, also where we are a container's first process."""

    def hear(number: int, frame: object) -> None:  # noqa: ARG001  (a handler's signature)
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, hear)


def _begun(
    flow: Flow, values: Values, bounds: Bounds, teller: Teller, subscriber: Listener | None
) -> RunHandle:
    def hear(event: Event) -> None:
        teller.hear(event)
        if subscriber is not None:
            subscriber(event)

    handle = flow.run(
        block=False,
        serve_host=values["host"],
        serve_port=values["port"],
        start_runtime_server=values["start_runtime_server"],
        runtime_server_host=values["runtime_server_host"],
        runtime_server_port=values["runtime_server_port"],
        run_id=values["run_id"],
        engine=values["engine"],
        address=values["address"],
        event_subscriber=hear,
    )
    teller.begin(handle)
    bounds.watch(handle)
    return handle


def _subscriber(name: str | None) -> Listener | None:
    """The function that `module:function` names.

    Raises:
        UsageError: there is none.
    """
    if name is None:
        return None
    module, _, function = name.partition(":")
    try:
        found: Callable[[Event], None] = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"run: --event-subscriber {name!r} must be module:function; {error}"
        raise UsageError(msg) from error
    if not callable(found):
        msg = f"run: --event-subscriber {name!r} is no function, but {type(found).__name__}"
        raise UsageError(msg)
    return found
