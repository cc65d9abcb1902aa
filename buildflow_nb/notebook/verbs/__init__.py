"""What each `%buildflow` subcommand does with the kernel's Flow, by its word.

A verb gives the data to show, which the notebook renders and the next line can use; text that is
not data is written into the cell. A verb's module is loaded when its word is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from buildflow_nb.core.interrupts import interrupts_held
from buildflow_nb.notebook.verbs.verb import Verb

__all__ = ("verb_of",)

_HOMES = {
    "running": ("run", "stop", "start"),
    "looking": ("status", "list", "peek", "logs"),
    "charting": ("chart",),
    "tracing": ("trace", "profile"),
    "elements": ("send", "failures", "tap", "record", "replay"),
    "resource": ("look", "put", "redrive", "purge"),
    "resources": ("preview", "refresh", "apply", "destroy", "unmanage", "cloud"),
    "checking": ("check", "doctor"),
    "export": ("export",),
    "kernel": ("panel", "open", "cancel", "history", "remove", "nest_asyncio", "help"),
}


def verb_of(word: str) -> Verb:
    """The verb behind a word of the command table."""
    home = next(home for home, words in _HOMES.items() if word in words)
    with interrupts_held():
        verbs: Mapping[str, Verb] = import_module(f"{__name__}.{home}").VERBS
    return verbs[word]
