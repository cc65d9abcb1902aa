"""The kernel and the manual: `help`, `remove`, `nest_asyncio`."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.cockpit.page.link import Link
from buildflow_nb.cockpit.panel.actions import removed
from buildflow_nb.cockpit.views import formats
from buildflow_nb.commands.help_text import manual
from buildflow_nb.core.errors import UsageError
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)

_NEST_WARNING = (
    "nest_asyncio is applied: every event loop of this kernel is patched until it restarts. "
    "On ipykernel 7, a cell that calls asyncio.run can then make queued cells vanish unrun; "
    "prefer `await` in the cell, which needs no patch"
)


def _remove(session: Session, values: Values) -> None:
    say(removed(session.flow(), values["ids"]))


def _nest_asyncio(session: Session, values: Values) -> None:  # noqa: ARG001
    import nest_asyncio

    nest_asyncio.apply()
    say(_NEST_WARNING)


def _help(session: Session, values: Values) -> None:  # noqa: ARG001
    say(manual(values["topic"]))


def _panel(session: Session, values: Values) -> None:
    from buildflow_nb.cockpit.panel.view_state import state_of

    session.show_panel(state_of(values))


def _open(session: Session, values: Values) -> Link:
    return session.cockpit.open(values["port"])


def _cancel(session: Session, values: Values) -> None:
    if not session.cancel(now=values["now"]):
        msg = "no change of cloud resources is under way that a button began"
        raise UsageError(msg)
    say("ends at once" if values["now"] else "ends after the step under way")


def _history(session: Session, values: Values) -> None:
    clicks = session.cockpit.clicks.history.clicks
    if not clicks:
        say("nothing was clicked yet")
    elif values["cell"]:
        session.shell.set_next_input(session.cockpit.clicks.history.cell(), replace=False)
    else:
        say("\n".join(f"{formats.clock(click.at)}  {click.line}" for click in clicks))


VERBS: Mapping[str, Verb] = {
    "panel": _panel,
    "cancel": _cancel,
    "open": _open,
    "history": _history,
    "remove": _remove,
    "nest_asyncio": _nest_asyncio,
    "help": _help,
}
