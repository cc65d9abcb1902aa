"""What `%buildflow help`, `-h` and `?` say: made from the tables that the magics are parsed by."""

from __future__ import annotations

from dataclasses import fields

from buildflow_nb.commands.magic_syntax import KINDS, MAGIC
from buildflow_nb.commands.parsing import COMMANDS, LINE, help_text
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.options import nearest

__all__ = ("TOPICS", "manual")

_ERRORS = (
    "Errors that you can mend are shown as one line. %tb, right after it, shows the traceback. "
    "Elements that failed inside a processor are kept: %buildflow failures lists them, "
    "%buildflow failures PROCESSOR --traceback N shows one in full."
)
TOPICS = (*COMMANDS, *KINDS, "errors")


def manual(topic: str | None = None) -> str:
    """Plain text about a topic, or an overview.

    Raises:
        UsageError: there is no such topic.
    """
    if topic is None:
        return _overview()
    if topic == "errors":
        return _ERRORS
    if topic in KINDS:
        return _kind(topic)
    if topic in COMMANDS:
        return help_text(COMMANDS[topic])
    msg = f"{LINE} help: nothing about {topic!r}{nearest(topic, TOPICS)}; there is {_topics()}"
    raise UsageError(msg)


def _topics() -> str:
    return ", ".join(TOPICS)


def _overview() -> str:
    examples = [f"  {kind.example}" for kind in KINDS.values()]
    heading = f"{MAGIC} KIND ARGUMENTS  (@app.KIND(ARGUMENTS) on the cell's last function or class)"
    return "\n".join(
        [heading, "", *examples, "", help_text(), f"{LINE} help errors tells about tracebacks."]
    )


def _kind(name: str) -> str:
    kind = KINDS[name]
    known = {f.name: f"  {f.name} = {f.default!r}" for f in fields(kind.options)}
    acts = [text for option, text in known.items() if option not in kind.options.kept_alone]
    kept = [text for option, text in known.items() if option in kind.options.kept_alone]
    first = f"{MAGIC} {name} {', '.join(kind.arguments)}, options"
    said = "Of no effect in this process, where replicas are threads:"
    parts = [first, "", "Options and their defaults:", *acts, "", said, *kept]
    return "\n".join([*parts, "", f"Like {kind.example}"])
