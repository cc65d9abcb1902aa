"""Which parameters can never take what a source gives, said when they are declared.

Without this every element would fail alone, and be given back, and come again.
"""

from __future__ import annotations

from typing import Annotated, get_args, get_origin, is_typeddict

from buildflow_nb.core.conversion.annotations import (
    arms_of,
    class_of,
    is_pydantic,
    is_unknown,
    type_name,
)
from buildflow_nb.core.primitive import label_of
from buildflow_nb.types.aws import S3FileChangeEvent
from buildflow_nb.types.gcp import GCSFileChangeEvent, PubsubMessage
from buildflow_nb.types.local import LocalFileChangeEvent
from buildflow_nb.types.portable import FileChangeEvent

__all__ = ("comes_from_elsewhere", "never_becomes", "only_of")

HOMES = {
    PubsubMessage: "GCPPubSubSubscription with include_attributes=True",
    S3FileChangeEvent: "S3FileChangeStream",
    GCSFileChangeEvent: "GCSFileChangeStream",
    LocalFileChangeEvent: "LocalFileChangeStream",
    FileChangeEvent: "change streams",
}


def never_becomes(source: object, kind: type, hint: object) -> str:
    """What is wrong with `hint` for a source of objects of `kind`, if anything is."""
    if any(_takes(arm, kind) for arm in _arms(hint)):
        return ""
    return (
        f"{label_of(source)} gives {kind.__name__} objects, which never become {type_name(hint)}; "
        f"annotate the parameter as {kind.__name__}"
    )


def comes_from_elsewhere(source: object, hint: object) -> str:
    """What is wrong with `hint` for a source of text or bytes: that another one makes it."""
    for kind, home in HOMES.items():
        if only_of(hint, (kind,)):
            return (
                f"{label_of(source)} gives the text of messages, and {type_name(hint)} comes from "
                f"{home} only; read that, or annotate the parameter with a type of your own"
            )
    return ""


def only_of(hint: object, kinds: tuple[type, ...]) -> bool:
    """Whether a type is one of these, or derived from one, and nothing else but None.

    One that makes itself of text or bytes is more than that.
    """
    own = ("from_string", "from_bytes")
    classes = [class_of(arm) for arm in _arms(hint)]
    return bool(classes) and all(
        c is not None and issubclass(c, kinds) and not any(hasattr(c, name) for name in own)
        for c in classes
    )


def _arms(hint: object) -> list[object]:
    """The types of a union but None, without what `Annotated` adds."""
    if get_origin(hint) is Annotated:
        return _arms(get_args(hint)[0])
    arms = arms_of(hint)
    if len(arms) == 1:
        return [hint]
    return [inner for arm in arms if arm is not type(None) for inner in _arms(arm)]


def _takes(hint: object, kind: type) -> bool:
    """Whether a parameter of this type may take such an object; benefit of the doubt included."""
    found = class_of(hint)
    if found is None:
        return is_unknown(hint) or not (get_origin(hint) or is_typeddict(hint))
    if is_pydantic(found) and not issubclass(found, (PubsubMessage, FileChangeEvent)):
        return True  # it may be made from attributes
    try:
        return issubclass(kind, found)
    except TypeError:  # a Protocol that cannot be asked
        return True
