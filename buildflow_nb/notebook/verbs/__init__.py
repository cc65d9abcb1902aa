"""What each `%buildflow` subcommand does with the kernel's Flow, by its word.

A verb gives the data to show, which the notebook renders and the next line can use; text that is
not data is written into the cell.
"""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.notebook.verbs import (
    checking,
    elements,
    export,
    kernel,
    looking,
    resources,
    running,
)
from buildflow_nb.notebook.verbs.verb import Verb

__all__ = ("VERBS",)

VERBS: Mapping[str, Verb] = {
    **running.VERBS,
    **looking.VERBS,
    **elements.VERBS,
    **resources.VERBS,
    **checking.VERBS,
    **export.VERBS,
    **kernel.VERBS,
}
