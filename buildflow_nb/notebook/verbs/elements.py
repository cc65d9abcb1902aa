"""Elements in a person's hands: sent, failed, removed processors."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from buildflow_nb.core.errors import UsageError
from buildflow_nb.notebook.listings import Failures, Traceback
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


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


VERBS: Mapping[str, Verb] = {
    "send": _send,
    "failures": _failures,
}
