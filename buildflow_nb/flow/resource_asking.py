"""What a line asks of a resource, the same in a notebook and in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import RejectedError, UsageError
from buildflow_nb.core.resource_look import ResourceLook
from buildflow_nb.flow.resource import Resource

__all__ = ("fetched", "looked", "purged")

Values = Mapping[str, Any]


def looked(resource: Resource, values: Values) -> ResourceLook:
    """The look that the words of `look` ask for.

    Raises:
        UsageError: they do not go together.
    """
    if values["to"] or values["force"]:
        msg = "look: --to and --force are for --download"
        raise UsageError(msg)
    key, prefix = values["object"], values["prefix"]
    return resource.look(
        rows=values["rows"],
        prefix=prefix or key[: key.rfind("/") + 1],
        key=key,
        page=values["page"],
        peek=values["peek"],
        whole=values["count"],
        timeout=values["timeout"],
    )


def fetched(resource: Resource, values: Values) -> Path:
    """The object that `look --download` names, in a file.

    Raises:
        UsageError: no object is named, or it cannot be had.
    """
    if not values["object"]:
        msg = "look: --download needs --object, the name of the object"
        raise UsageError(msg)
    return resource.download(values["object"], values["to"], overwrite=values["force"])


def purged(resource: Resource, typed: str | None, read: Callable[[str], str] | None = None) -> str:
    """Purge once its name is typed; says what was deleted. `read` stands in for `input`.

    Raises:
        RejectedError: another name, or none, was typed.
        UsageError: nobody can be asked, or it cannot be purged.
    """
    if typed is None:
        look = resource.look(rows=0)
        if not look.there or look.held is None or look.held.count is None:
            resource.purge("")  # says why not
        if look.held is not None and not look.held.count:
            return f"{resource.key} is empty"
        question = f"Delete {look.held} of {resource.key}? [type {resource.name!r} to do it] "
        try:
            typed = (read or input)(question).strip()
        except (EOFError, NotImplementedError) as error:
            msg = f"this asks before it deletes {look.held}, and nobody can answer here; --yes NAME"
            raise UsageError(msg) from error
        except KeyboardInterrupt:
            typed = ""
        if typed != resource.name:
            msg = f"purge rejected; nothing was deleted of {resource.key}"
            raise RejectedError(msg)
    count = resource.purge(typed)
    return f"purged {resource.key}: {count:,} message{'' if count == 1 else 's'} deleted"
