"""The cloud resources of the stack: preview, apply, refresh, destroy, and the local cloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from buildflow_nb.cockpit.views.operation_view import OperationView
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.status.operations import Operation, Outcome
from buildflow_nb.infra.ask import answer
from buildflow_nb.infra.report import headline
from buildflow_nb.local_cloud.steer import steer
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


def _preview(session: Session, values: Values) -> None:
    flow = session.flow().on(values["stack"])
    view = OperationView(Operation.PREVIEW, flow.stack)
    view.take(_told(values, lambda: flow.preview(view.hear)))


def _refresh(session: Session, values: Values) -> None:
    flow = session.flow().on(values["stack"])
    view = OperationView(Operation.REFRESH, flow.stack)
    _told(values, lambda: flow.refresh(view.hear))


def _apply(session: Session, values: Values) -> None:
    flow = session.flow().on(values["stack"])
    view = OperationView(Operation.APPLY, flow.stack)
    confirm = _confirm(flow.stack)
    _told(
        values,
        lambda: flow.apply(
            yes=values["yes"], delete=values["delete"], confirm=confirm, listener=view.hear
        ),
    )


def _destroy(session: Session, values: Values) -> None:
    flow = session.flow().on(values["stack"])
    view = OperationView(Operation.DESTROY, flow.stack)
    confirm = _confirm(flow.stack)
    _told(
        values,
        lambda: flow.destroy(
            yes=values["yes"], delete=values["delete"], confirm=confirm, listener=view.hear
        ),
    )


def _confirm(stack: str) -> Callable[[Outcome], bool]:
    def confirm(plan: Outcome) -> bool:
        view = OperationView(Operation.PREVIEW, stack)
        view.take(plan)
        return answer(plan)

    return confirm


def _told(values: Values, operation: Callable[[], Outcome]) -> Outcome:
    """Carry out an operation; what it did not show itself is said."""
    try:
        outcome = operation()
    except InfraError as error:
        if values["verbose"] and error.text:
            say(error.text)
        raise
    if outcome.nothing_to_do and outcome.summary.operation is Operation.PREVIEW:
        say(headline(outcome))
    return outcome


def _unmanage(session: Session, values: Values) -> None:
    keys = session.flow().unmanage(*values["ids"])
    say(f"no longer managed: {', '.join(keys)}; the next apply deletes what was applied")


def _cloud(session: Session, values: Values) -> None:
    say(steer(session.flow().config.folder, values["action"]))


VERBS: Mapping[str, Verb] = {
    "preview": _preview,
    "refresh": _refresh,
    "apply": _apply,
    "destroy": _destroy,
    "unmanage": _unmanage,
    "cloud": _cloud,
}
