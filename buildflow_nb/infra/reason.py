"""Why an operation failed, in one line that says how to mend it where that is known.

The engine knows nothing of this project's options, files and local cloud; where its words mean one
of those, they are said in ours.
"""

from __future__ import annotations

import re

from buildflow_nb.core.operations import Operation
from buildflow_nb.infra.report import gist

__all__ = ("reason",)

_KILLED = re.compile(r"^\s*code: -(?P<signal>\d+)$", re.MULTILINE)
_LAST_WORDS = 300  # characters of a text in which nothing is known


def reason(text: str, told: str, stack: str, operation: Operation) -> str:
    """The line; `text` is all that the engine said, `told` its first error."""
    if "incorrect passphrase" in text:
        return (
            f"stack {stack!r} was made with another passphrase; set PULUMI_CONFIG_PASSPHRASE to "
            "that one, or put it back into .buildflow/passphrase"
        )
    killed = _KILLED.search(text)
    if killed is not None:
        return (
            f"the engine was killed (signal {killed['signal']}); what was done is kept, and the "
            "next operation finds out about the rest"
        )
    if "did not begin responding to RPC connections" in told:
        return f"the local cloud ended meanwhile; {operation.value} again starts it"
    if "because it is protected" in told:
        return (
            "a resource is protected from deletion; apply with "
            f"FlowOptions(enable_destroy_protection=False) first ({gist(told)})"
        )
    return gist(told) or f"the engine failed: {text.strip()[-_LAST_WORDS:]}"
