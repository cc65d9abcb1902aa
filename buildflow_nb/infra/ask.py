"""The question before cloud resources are changed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from buildflow_nb.core.errors import RejectedError, UsageError
from buildflow_nb.core.status.operations import Op, Outcome
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
    return answer(plan)


def question(plan: Outcome) -> str:
    """What is asked about a plan; deletions are counted in it."""
    counts = plan.summary.counts
    count, gone = sum(counts.values()), counts.get(Op.DELETE, 0)
    if gone == count:
        asked = f"Delete {'this resource' if count == 1 else f'these {count} resources'}?"
    elif gone:
        asked = f"Apply these {count} changes, {gone} of which delete{'s' * (gone == 1)}?"
    else:
        asked = f"Apply {'this change' if count == 1 else f'these {count} changes'}?"
    typed = plan.deletions.must_type
    return f"{asked} [{f'type {typed!r} to do it' if typed else 'y/N'}] "


def answer(plan: Outcome, read: Callable[[str], str] | None = None) -> bool:
    """Ask about a plan until the answer is yes or no; nothing means no.

    Where something has to be typed, everything else means no. `read` stands in for `input`, which
    is looked up late: a kernel exchanges it for each cell.

    Raises:
        UsageError: nobody can be asked.
        RejectedError: the question was interrupted.
    """
    text, typed = question(plan), plan.deletions.must_type
    while True:
        try:
            said = " ".join((read or input)(text).lower().split())
        except (EOFError, NotImplementedError) as error:  # no terminal; a kernel without a person
            msg = (
                "this asks before it changes anything, and nobody can answer here; add --yes"
                f"{' --delete' if typed else ''}, or declare "
                "Flow(flow_options=FlowOptions(require_confirmation=False))"
            )
            raise UsageError(msg) from error
        except KeyboardInterrupt as error:
            msg = "interrupted; nothing was changed"
            raise RejectedError(msg) from error
        if typed:
            return said == typed
        if said in YES or said in NO:
            return said in YES
        sys.stdout.write(f"{said!r} is neither yes nor no\n")
