"""What each `%buildflow` subcommand does with the kernel's Flow.

A verb gives the data to show, which the notebook renders and the next line can use; text that is
not data is written into the cell.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

from buildflow_nb.core.errors import InfraError, RunError, UsageError
from buildflow_nb.core.operations import Operation, Outcome
from buildflow_nb.core.options import LOG_LEVELS
from buildflow_nb.core.snapshot import FlowSnapshot
from buildflow_nb.infra.ask import answer, question
from buildflow_nb.infra.local_cloud.steer import steer
from buildflow_nb.infra.report import headline
from buildflow_nb.notebook.dashboard import Dashboard
from buildflow_nb.notebook.listings import Declared, Failures, Lines, Passages, Traceback
from buildflow_nb.notebook.manual import manual
from buildflow_nb.notebook.operation_view import OperationView
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("VERBS", "value_of")

Values = Mapping[str, Any]
_OUTPUT_LEVELS = {"PRINT": "INFO", "STDERR": "WARNING"}  # where printed lines rank among records
_NEST_WARNING = (
    "nest_asyncio is applied: every event loop of this kernel is patched until it restarts. "
    "On ipykernel 7, a cell that calls asyncio.run can then make queued cells vanish unrun; "
    "prefer `await` in the cell, which needs no patch"
)


def _run(session: Session, values: Values) -> None:
    flow = session.flow()
    bounded = any(values[name] is not None for name in ("until", "duration", "count"))
    if values["timeout"] is not None and not bounded:
        msg = "%buildflow run: --timeout needs something to wait for; add --until drained"
        raise UsageError(msg)
    before = flow.handle
    handle = flow.run(block=False, serve_host=values["host"], serve_port=values["port"])
    try:
        dashboard = session.dashboards.show(handle, live=session.cell_id is not None)
        if bounded:
            _wait(handle, values, dashboard, ours=handle is not before)
    except KeyboardInterrupt as error:
        msg = f"interrupted; flow {handle.flow_id!r} keeps running, %buildflow stop ends it"
        raise UsageError(msg) from error


def _wait(handle: RunHandle, values: Values, dashboard: Dashboard, *, ours: bool) -> None:
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
        dashboard.refresh()


def _stop(session: Session, values: Values) -> None:
    flow = session.flow()
    handle = flow.handle
    if handle is None or not handle.running:
        msg = f"flow {flow.flow_id!r} does not run; %buildflow run starts it"
        raise UsageError(msg)
    ids = values["ids"] or None
    handle.stop(ids, drain=not values["no_drain"], timeout=values["timeout"])
    say(f"stopped {', '.join(ids) if ids else f'flow {flow.flow_id!r}'}")


def _status(session: Session, values: Values) -> FlowSnapshot:  # noqa: ARG001
    return session.flow().snapshot()


def _list(session: Session, values: Values) -> Declared:  # noqa: ARG001
    flow = session.flow()
    return Declared(flow.processors.values(), f"flow {flow.flow_id}")


def _remove(session: Session, values: Values) -> None:
    session.flow().remove(values["id"])
    say(f"removed {values['id']}")


def _send(session: Session, values: Values) -> list[object]:
    element = value_of(values["element"], session.names)
    return session.flow().send(values["id"], element)


def value_of(text: str, names: Mapping[str, Any]) -> object:
    """The element that a line means: JSON, else a Python expression; `{x}` is x, as everywhere.

    Raises:
        UsageError: it is neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        tree = ast.parse(text, mode="eval")
        if isinstance(tree.body, ast.Set) and len(tree.body.elts) == 1:
            tree = ast.Expression(tree.body.elts[0])
        return eval(compile(tree, "<element>", "eval"), dict(names))  # noqa: S307  (the user's own line)
    except SyntaxError as error:
        msg = f"%buildflow send: {text!r} is neither JSON nor a Python expression: {error.msg}"
        raise UsageError(msg) from error
    except Exception as error:  # whatever evaluating the user's words raises
        msg = f"%buildflow send: {text!r} cannot be evaluated: {type(error).__name__}: {error}"
        raise UsageError(msg) from error


def _peek(session: Session, values: Values) -> Passages:
    found = session.flow().peek(values["id"], values["n"])
    return Passages(found, f"{values['id']} · last elements")


def _failures(session: Session, values: Values) -> Failures | Traceback:
    chosen = values["id"]
    found = session.flow().failures(chosen)
    wanted = values["traceback"]
    if wanted is None:
        return Failures(found, f"{chosen or 'all processors'} · failed")
    match = [failure for failure in found if failure.number == wanted]
    if not match:
        msg = f"no failure has number {wanted}; %buildflow failures lists them"
        raise UsageError(msg)
    if len(match) > 1:
        owners = ", ".join(sorted({failure.processor_id for failure in match}))
        msg = f"number {wanted} is one of each of {owners}; name the processor too"
        raise UsageError(msg)
    return Traceback(match[0].traceback)


def _logs(session: Session, values: Values) -> Lines:
    flow, chosen = session.flow(), values["id"]
    least = LOG_LEVELS.index(values["level"]) if values["level"] else -1
    found = [
        (name, line)
        for name in ([chosen] if chosen else flow.processors)
        for line in flow.logs(name)
        if _rank(line.level) >= least
    ]
    found.sort(key=lambda pair: pair[1].at)
    return Lines(found[-values["n"] :], f"{chosen or 'all processors'} · log")


def _rank(level: str) -> int:
    level = _OUTPUT_LEVELS.get(level, level)
    return LOG_LEVELS.index(level) if level in LOG_LEVELS else len(LOG_LEVELS)


def _preview(session: Session, values: Values) -> None:
    flow = session.flow()
    view = OperationView(Operation.PREVIEW, flow.stack)
    _told(values, lambda: flow.preview(view.hear))


def _refresh(session: Session, values: Values) -> None:
    flow = session.flow()
    view = OperationView(Operation.REFRESH, flow.stack)
    _told(values, lambda: flow.refresh(view.hear))


def _apply(session: Session, values: Values) -> None:
    flow = session.flow()
    view = OperationView(Operation.APPLY, flow.stack)
    confirm = _confirm(flow.stack)
    _told(values, lambda: flow.apply(yes=values["yes"], confirm=confirm, listener=view.hear))


def _destroy(session: Session, values: Values) -> None:
    flow = session.flow()
    view = OperationView(Operation.DESTROY, flow.stack)
    confirm = _confirm(flow.stack)
    _told(values, lambda: flow.destroy(yes=values["yes"], confirm=confirm, listener=view.hear))


def _confirm(stack: str) -> Callable[[Outcome], bool]:
    def confirm(plan: Outcome) -> bool:
        view = OperationView(Operation.PREVIEW, stack)
        view.take(plan)
        return answer(question(plan))

    return confirm


def _told(values: Values, operation: Callable[[], Outcome]) -> None:
    """Carry out an operation; what it did not show itself is said."""
    try:
        outcome = operation()
    except InfraError as error:
        if values["verbose"] and error.text:
            say(error.text)
        raise
    if outcome.nothing_to_do and outcome.summary.operation is Operation.PREVIEW:
        say(headline(outcome))


def _cloud(session: Session, values: Values) -> None:
    say(steer(session.flow().config.folder, values["action"]))


def _nest_asyncio(session: Session, values: Values) -> None:  # noqa: ARG001
    import nest_asyncio

    nest_asyncio.apply()
    say(_NEST_WARNING)


def _help(session: Session, values: Values) -> None:  # noqa: ARG001
    say(manual(values["topic"]))


VERBS: Mapping[str, Callable[[Session, Values], object]] = {
    "run": _run,
    "stop": _stop,
    "status": _status,
    "list": _list,
    "remove": _remove,
    "send": _send,
    "peek": _peek,
    "failures": _failures,
    "logs": _logs,
    "preview": _preview,
    "apply": _apply,
    "refresh": _refresh,
    "destroy": _destroy,
    "cloud": _cloud,
    "nest_asyncio": _nest_asyncio,
    "help": _help,
}
