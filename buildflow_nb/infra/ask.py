"""The question before cloud resources are changed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from buildflow_nb.core.errors import RejectedError, UsageError
from buildflow_nb.core.operations import Op, Outcome
from buildflow_nb.infra.report import plan_text

__all__ = ("answer", "ask", "question")

YES = ("y", "yes")
NO = ("n", "no", "")


def ask(plan: Outcome) -> bool:
    """Show a plan as text and ask whether to carry it out.

    Raises:
        UsageError: nobody can be asked.
        RejectedError: the question was interrupted.
    """
    sys.stdout.write(f"{plan_text(plan)}\n")
    return answer(question(plan))


def question(plan: Outcome) -> str:
    """What is asked about a plan."""
    count = sum(plan.summary.changes.values())
    if set(plan.summary.changes) == {Op.DELETE}:
        return f"Delete {'this resource' if count == 1 else f'these {count} resources'}? [y/N] "
    return f"Apply {'this change' if count == 1 else f'these {count} changes'}? [y/N] "


def answer(text: str, read: Callable[[str], str] | None = None) -> bool:
    """Ask until the answer is yes or no; nothing means no.

    `read` stands in for `input`, which is looked up late: a kernel exchanges it for each cell.

    Raises:
        UsageError: nobody can be asked.
        RejectedError: the question was interrupted.
    """
    while True:
        try:
            said = (read or input)(text).strip().lower()
        except (EOFError, NotImplementedError) as error:  # no terminal; a kernel without a person
            msg = (
                "this asks before it changes anything, and nobody can answer here; add --yes, "
                "or declare Flow(flow_options=FlowOptions(require_confirmation=False))"
            )
            raise UsageError(msg) from error
        except KeyboardInterrupt as error:
            msg = "interrupted; nothing was changed"
            raise RejectedError(msg) from error
        if said in YES or said in NO:
            return said in YES
        sys.stdout.write(f"{said!r} is neither yes nor no\n")
