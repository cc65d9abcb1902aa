"""Updates: the fields that a mask names are taken from the request, all others stay."""

from __future__ import annotations

from collections.abc import Set

from buildflow_nb.local_cloud.pubsub.proto import FieldMask, Pb
from buildflow_nb.local_cloud.pubsub.status import invalid

__all__ = ("updated",)


def updated(current: Pb, wanted: Pb, mask: Pb, immutable: Set[str]) -> Pb:
    """Give a copy of `current` with the masked fields of `wanted`.

    Raises:
        StatusError: INVALID_ARGUMENT, if the mask is empty, or names a field that there is not or
            that cannot be changed.
    """
    _check_mask(mask, current.DESCRIPTOR, immutable)
    result = type(current)()
    result.CopyFrom(current)
    mask.MergeMessage(wanted, result, replace_message_field=True, replace_repeated_field=True)
    return result


def _check_mask(mask: Pb, descriptor: Pb, immutable: Set[str]) -> None:
    kind = descriptor.name
    if not mask.paths:
        message = (
            f"The update_mask in the Update{kind}Request must be set, and must contain a "
            "non-empty paths list."
        )
        raise invalid(message)
    for path in mask.paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(descriptor):
            message = (
                f"Invalid update_mask provided in the Update{kind}Request: '{path}' is not a "
                f"known {kind} field. Note that field paths must be of the form 'push_config' "
                "rather than 'pushConfig'."
            )
            raise invalid(message)
        if path.split(".", 1)[0] in immutable:
            message = (
                f"Invalid update_mask provided in the Update{kind}Request: the '{path}' field in "
                f"the {kind} is not mutable."
            )
            raise invalid(message)
