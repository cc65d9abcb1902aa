"""Running the flow: `run`, `stop`, `start`."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.cockpit.panel.actions import CHECK_S, ended
from buildflow_nb.cockpit.views.findings_view import warn
from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.verb import Values, Verb
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("VERBS",)


def _run(session: Session, values: Values) -> None:
    flow = session.flow()
    bounded = any(values[name] is not None for name in ("until", "duration", "count"))
    if values["timeout"] is not None and not bounded:
        msg = "%buildflow run: --timeout needs something to wait for; add --until drained"
        raise UsageError(msg)
    before = flow.handle
    if before is None or not before.running:
        where = {"host": values["host"], "port": values["port"]}
        warn(flow.check(timeout=CHECK_S, start=True, **where))
        if said := flow.engine_said(values["engine"], values["address"]):
            say(f"buildflow: {said}")
    handle = flow.run(
        block=False,
        serve_host=values["host"],
        serve_port=values["port"],
        engine=values["engine"],
        address=values["address"],
    )
    _say_notes(handle)
    try:
        session.show_panel()
        if bounded:
            _wait(session, handle, values, ours=handle is not before)
    except KeyboardInterrupt as error:
        msg = f"interrupted; flow {handle.flow_id!r} keeps running, %buildflow stop ends it"
        raise UsageError(msg) from error


def _say_notes(handle: RunHandle) -> None:
    for note in handle.notes():
        say(f"buildflow: {note}")


def _wait(session: Session, handle: RunHandle, values: Values, *, ours: bool) -> None:
    try:
        handle.wait_until(
            drained=values["until"] == "drained",
            duration=values["duration"],
            count=values["count"],
            timeout=values["timeout"],
        )
        if ours and values["until"] is None:
            handle.stop()  # --duration and --count bound the run; --until only waits
    except RunError as error:
        msg = f"{error}; %buildflow failures and %buildflow logs tell more"
        raise UsageError(msg) from error
    finally:
        session.live.refresh()


def _start(session: Session, values: Values) -> None:
    flow = session.flow()
    if flow.handle is None or not flow.handle.running:
        msg = f"flow {flow.flow_id!r} does not run; %buildflow run starts it"
        raise UsageError(msg)
    flow.handle.start(values["ids"] or None)
    _say_notes(flow.handle)
    say(f"started {', '.join(values['ids']) or 'all processors'}")


def _stop(session: Session, values: Values) -> None:
    flow = session.running(values["flow"]) if values["flow"] else session.flow()
    handle = flow.handle
    if handle is None or not handle.running:
        msg = f"flow {flow.flow_id!r} does not run; %buildflow run starts it"
        raise UsageError(msg)
    say(ended(handle, values, say))


VERBS: Mapping[str, Verb] = {
    "run": _run,
    "stop": _stop,
    "start": _start,
}
