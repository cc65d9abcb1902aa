"""Names of topics, subscriptions and snapshots, and the labels on them.

A name is `projects/{project}/{collection}/{id}` where the id has 3 to 255 characters, starts with
a letter and not with `goog` (Pub/Sub documentation, "Guidelines to name a topic, subscription,
schema, or snapshot"). Labels follow Google Cloud's "Labels overview", section "Requirements".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from buildflow_nb.local_cloud.pubsub.status import invalid

__all__ = (
    "DELETED_TOPIC",
    "check_labels",
    "check_name",
    "check_project",
    "in_project",
    "project_of",
    "short_name",
)

DELETED_TOPIC = "_deleted-topic_"  # what Google shows as the topic of an orphaned subscription

_PROJECT = re.compile(r"projects/[^/\s]+")
_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")
_LABEL_KEY = re.compile(r"[^\W\dA-Z_](?:[^\WA-Z]|-){0,62}")
_LABEL_VALUE = re.compile(r"(?:[^\WA-Z]|-){0,63}")
_MOST_LABELS = 64
_PARTS = 4  # projects, {project}, {collection}, {id}


def check_name(name: str, collection: str) -> None:
    """Refuse a name that Google would refuse; `collection` is `topics`, `subscriptions`, ...

    Raises:
        StatusError: INVALID_ARGUMENT, if the name does not have the documented form.
    """
    parts = name.split("/")
    if (
        len(parts) != _PARTS
        or not _PROJECT.fullmatch(f"{parts[0]}/{parts[1]}")
        or parts[2] != collection
        or not _ID.fullmatch(parts[3])
    ):
        message = (
            f"Invalid resource name given (name={name}). It must be "
            f"projects/PROJECT/{collection}/ID, where ID has 3 to 255 of the characters "
            "A-Z a-z 0-9 - _ . ~ + %, starts with a letter and not with goog."
        )
        raise invalid(message)


def check_project(project: str) -> None:
    """Refuse a parent that is not `projects/{project}`."""
    if not _PROJECT.fullmatch(project):
        message = f"Invalid project given (project={project}). It must be projects/PROJECT."
        raise invalid(message)


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels that Google would refuse."""
    if len(labels) > _MOST_LABELS:
        message = f"Too many labels ({len(labels)}): a resource has at most {_MOST_LABELS}."
        raise invalid(message)
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            message = (
                f"Invalid label {key!r}: {value!r}. Keys have 1 to 63 and values up to 63 lower "
                "case letters, digits, underscores and dashes; keys start with a letter."
            )
            raise invalid(message)


def in_project(name: str, project: str) -> bool:
    """Tell whether a resource belongs to `projects/{project}`."""
    return name.startswith(f"{project}/")


def project_of(name: str) -> str:
    """Give the bare project id of a full name."""
    return name.split("/")[1]


def short_name(name: str) -> str:
    """Give the bare id of a full name."""
    return name.rsplit("/", 1)[-1]
