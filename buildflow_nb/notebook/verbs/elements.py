"""Elements in a person's hands: sent, retried, discarded, tapped, recorded, replayed."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.cockpit.panel.actions import discarded, end_recording, retried, sent, tried
from buildflow_nb.cockpit.panel.view_state import ViewState
from buildflow_nb.cockpit.views.failure_groups import matching
from buildflow_nb.cockpit.views.form import example_line
from buildflow_nb.cockpit.views.listings import WELL, Dealt, Failures, Traceback
from buildflow_nb.cockpit.views.replayed import SideBySide
from buildflow_nb.commands.parsing import LINE
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import cut
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.verb import Values, Verb
from buildflow_nb.runtime.observability.failures import FailureRecord
from buildflow_nb.runtime.observability.recording import read_recording

__all__ = ("VERBS", "value_of")


def _send(session: Session, values: Values) -> list[object] | None:
    flow, chosen = session.flow(), values["id"]
    spec = flow.processor(chosen)
    if not values["element"]:
        if session.live_here:
            session.show_panel(ViewState(selected=chosen, tab="try"))
            return None
        msg = f"%buildflow send {chosen}: the element is missing; like {example_line(spec)}"
        raise UsageError(msg)
    element = value_of(values["element"], session.names)
    session.cockpit.sent.add_element(spec, element)
    return sent(flow, chosen, element)


def value_of(text: str, names: Mapping[str, Any]) -> object:
    """The element that a line means: JSON, else a Python expression; `{x}` is x, as everywhere.

    Raises:
        UsageError: it is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # nested too deeply: the next one says it
        pass
    try:
        tree = ast.parse(text, mode="eval")
        if isinstance(tree.body, ast.Set) and len(tree.body.elts) == 1:
            tree = ast.Expression(tree.body.elts[0])
        return eval(compile(tree, "<element>", "eval"), dict(names))  # noqa: S307  (the user's own line)
    except SyntaxError as error:
        msg = f"%buildflow send: {cut(text)!r} is neither JSON nor a Python expression: {error.msg}"
        raise UsageError(msg) from error
    except Exception as error:  # whatever evaluating the user's words raises
        msg = f"%buildflow send: {cut(text)!r} cannot be evaluated: {type(error).__name__}: {error}"
        raise UsageError(msg) from error


def _failures(session: Session, values: Values) -> Failures | Traceback | Dealt | None:
    chosen = values["id"]
    found = session.flow().failures(chosen)
    who = chosen or "all processors"
    if values["retry"] and values["discard"]:
        msg = f"{LINE} failures: --retry and --discard are two things; give one of them"
        raise UsageError(msg)
    if values["traceback"] is not None:
        return Traceback(_numbered(found, values["traceback"]).traceback)
    if values["number"] is not None:
        found = [_numbered(found, values["number"])]
    found = matching(found, values["type"], values["at"])
    if values["attempt"]:
        return Dealt(tried(session.flow(), found), f"{who} · tried, nothing written")
    if values["retry"]:
        return Dealt(retried(found), f"{who} · retried")
    if values["discard"]:
        dealt = Dealt(discarded(found), f"{who} · discarded")
        if all(deal.went in WELL for deal in dealt):  # nothing to read but how many they were
            say(f"{who}: {len(dealt):,} failure{'' if len(dealt) == 1 else 's'} discarded")
            return None
        return dealt
    return Failures(found, f"{who} · failed")


def _numbered(found: list[FailureRecord], number: int) -> FailureRecord:
    match = [failure for failure in found if failure.number == number]
    if not match:
        msg = f"no failure has number {number}; %buildflow failures lists them"
        raise UsageError(msg)
    if len(match) > 1:
        owners = ", ".join(sorted({failure.processor_id for failure in match}))
        msg = f"number {number} is one of each of {owners}; name the processor too"
        raise UsageError(msg)
    return match[0]


def _tap(session: Session, values: Values) -> object:
    return session.flow().tap(values["id"], values["n"], edge=values["edge"])


def _record(session: Session, values: Values) -> Path | None:
    flow, wanted = session.flow(), values["count"]
    if values["end"]:
        say(end_recording(flow, values["id"]))
        return None
    path = flow.record(values["id"], wanted, values["to"], values["timeout"])
    came = len(read_recording(path)[1])
    say(f"recorded {came:,} of {wanted:,} inputs of {values['id']}")
    return path


def _replay(session: Session, values: Values) -> SideBySide:
    return SideBySide(session.flow().replay(values["id"], values["file"]))


VERBS: Mapping[str, Verb] = {
    "send": _send,
    "failures": _failures,
    "tap": _tap,
    "record": _record,
    "replay": _replay,
}
