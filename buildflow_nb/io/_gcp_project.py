"""What follows from a project of Google Cloud: names of its own, and pages of the console."""

from __future__ import annotations

import hashlib

from buildflow_nb.core.errors import DeclarationError

__all__ = ("console_url", "own_name")

HASH_LENGTH = 8  # as in BuildFlow, so that what it has made is found again


def own_name(owner: str, prefix: str, project: str | None) -> str:
    """A name that a project has for itself: the same in every run, and another in every project.

    Raises:
        DeclarationError: no project is known; `owner` opens the message.
    """
    if project is None:
        msg = (
            f"{owner}: a default name is made from the project, and the options name none; "
            "give the name, or default_project_id"
        )
        raise DeclarationError(msg)
    return f"{prefix}_{hashlib.sha256(project.encode()).hexdigest()[:HASH_LENGTH]}"


def console_url(page: str, project: str | None) -> str:
    """A page of Google's console; without a project, in the one that was last looked at."""
    url = f"https://console.cloud.google.com/{page}"
    return f"{url}?project={project}" if project else url
