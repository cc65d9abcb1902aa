"""`%load_ext buildflow_nb`: everything that is put into a kernel, and taken out again by unload."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

from buildflow_nb.core.alias import answer_to_buildflow
from buildflow_nb.notebook import display, magics
from buildflow_nb.notebook.cell_sources import recorded
from buildflow_nb.notebook.completion import matcher
from buildflow_nb.notebook.errors import hide_tracebacks, show_tracebacks
from buildflow_nb.notebook.idle_interrupt import hear_idle_interrupts
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.thread_parents import without_cycles
from buildflow_nb.runtime.observability.logs import captured

__all__ = ("load", "unload")

_ATTRIBUTE = "buildflow_extension"


def load(shell: Any) -> None:
    """Bind `app`, add the magics, completion, displays and hooks; loading twice changes nothing."""
    if getattr(shell, _ATTRIBUTE, None) is None:
        setattr(shell, _ATTRIBUTE, _install(shell))


def unload(shell: Any) -> None:
    """Drain what runs and take out all that loading put in."""
    installed: ExitStack | None = getattr(shell, _ATTRIBUTE, None)
    if installed is not None:
        delattr(shell, _ATTRIBUTE)
        installed.close()


def _install(shell: Any) -> ExitStack:
    with ExitStack() as undo:
        session = Session(shell)
        answer_to_buildflow()
        undo.enter_context(without_cycles(sys.stdout, sys.stderr))
        undo.enter_context(captured())
        undo.enter_context(recorded(shell))
        undo.callback(session.close)
        _add(undo, shell.input_transformers_cleanup, magics.transformer(shell))
        _add(undo, shell.Completer.custom_matchers, matcher(session))
        for event in ("pre_run_cell", "post_run_cell"):
            shell.events.register(event, getattr(session, event))
            undo.callback(shell.events.unregister, event, getattr(session, event))
        shell.register_magic_function(magics.magic(session), "line_cell", magics.NAME)
        for known in shell.magics_manager.magics.values():
            undo.callback(known.pop, magics.NAME, None)
        display.register(shell, session.show_if_its_own)
        undo.callback(display.unregister, shell)
        undo.callback(hear_idle_interrupts(getattr(shell, "kernel", None), session.cancel))
        hide_tracebacks(shell)
        undo.callback(show_tracebacks, shell)
        session.bind()
        return undo.pop_all()


def _add(undo: ExitStack, hooks: list[Any], hook: Any) -> None:
    hooks.append(hook)
    undo.callback(hooks.remove, hook)
