"""The kernel and the manual: `help`, `remove`, `nest_asyncio`."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.notebook.manual import manual
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)

_NEST_WARNING = (
    "nest_asyncio is applied: every event loop of this kernel is patched until it restarts. "
    "On ipykernel 7, a cell that calls asyncio.run can then make queued cells vanish unrun; "
    "prefer `await` in the cell, which needs no patch"
)


def _remove(session: Session, values: Values) -> None:
    session.flow().remove(values["id"])
    say(f"removed {values['id']}")


def _nest_asyncio(session: Session, values: Values) -> None:  # noqa: ARG001
    import nest_asyncio

    nest_asyncio.apply()
    say(_NEST_WARNING)


def _help(session: Session, values: Values) -> None:  # noqa: ARG001
    say(manual(values["topic"]))


VERBS: Mapping[str, Verb] = {
    "remove": _remove,
    "nest_asyncio": _nest_asyncio,
    "help": _help,
}
