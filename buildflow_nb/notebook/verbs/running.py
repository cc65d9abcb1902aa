"""Running the flow: `run`, `stop`, `start`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.notebook.findings_view import warn
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.verb import Values, Verb
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("CHECK_S", "VERBS", "ended")

CHECK_S = 1.5  # what cannot be looked at within that is left to the run, which says it as well


SILENT_S = 2.0  # for which a stop needs no word


def ended(handle: RunHandle, values: Values, tell: Callable[[str], None]) -> str:
    """Stop a run, or some of it, and `tell` what is waited for where that takes a while.

    Raises:
        UsageError: there is no such processor.
    """
    ids, failed, done = values["ids"] or None, list[BaseException](), threading.Event()

    def stop() -> None:
        try:
            handle.stop(ids, drain=not values["no_drain"], timeout=values["timeout"])
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=stop, name="buildflow stop", daemon=True).start()
    if not done.wait(SILENT_S):
        tell(_waited_for(handle, ids, values["timeout"]))
        done.wait(values["timeout"] + 60.0)  # the stop has a deadline of its own, before that
    if failed:
        raise failed[0]
    return f"stopped {', '.join(ids) if ids else f'flow {handle.flow_id!r}'}"


def _waited_for(handle: RunHandle, ids: Sequence[str] | None, timeout: float) -> str:
    try:
        found = [p for p in handle.snapshot().processors if not p.state.ended]
    except TimeoutError:
        return "stop waits for the flow's loop, which an async processor holds"
    names = [
        f"{p.processor_id} ({p.in_flight:,} in flight{f'; {p.reason}' if p.reason else ''})"
        for p in found
        if ids is None or p.processor_id in ids
    ]
    return (
        f"stop waits up to {timeout:g} s for {', '.join(names) or 'open requests'}; --timeout and "
        "--no-drain give what is not finished back sooner"
    )


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
