"""Refusals: the gRPC status, message and details with which a call is answered.

The nouns of the server raise a `StatusError`; only the handlers know gRPC's contexts. Failed
acknowledgements carry a `google.rpc.ErrorInfo` whose metadata maps each ack id to its reason,
which is where client libraries look for the fate of an exactly-once acknowledgement (Pub/Sub
documentation, "Exactly-once delivery", section "Handle acknowledgement failures").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from buildflow_nb.core.errors import BuildFlowError

__all__ = (
    "INVALID_ACK_ID",
    "TRY_AGAIN",
    "StatusError",
    "already_exists",
    "failed_precondition",
    "invalid",
    "invalid_ack_ids",
    "not_found",
    "unimplemented",
)

INVALID_ACK_ID = "PERMANENT_FAILURE_INVALID_ACK_ID"
TRY_AGAIN = "TRANSIENT_FAILURE_INVALID_ACK_ID"  # clients repeat whatever is TRANSIENT_
MOST_NAMED = 50  # ids in an error's details: gRPC refuses more than 8 KiB of metadata
DETAILS_KEY = "grpc-status-details-bin"  # gRPC's key for a serialised google.rpc.Status


class StatusError(BuildFlowError):
    """A call that is answered with a status other than OK."""

    def __init__(
        self, code: grpc.StatusCode, message: str, failed_acks: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.failed_acks = dict(failed_acks or {})

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Give the error's details as gRPC carries them, or nothing if there are none."""
        if not self.failed_acks:
            return ()
        info = error_details_pb2.ErrorInfo(
            reason="EXACTLY_ONCE_ACKID_FAILURE",
            domain="pubsub.googleapis.com",
            metadata=self.failed_acks,
        )
        detail = any_pb2.Any()
        detail.Pack(info)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=[detail])
        return ((DETAILS_KEY, status.SerializeToString()),)


def not_found(name: str) -> StatusError:
    """Say that a resource does not exist."""
    short = name.rsplit("/", 1)[-1]
    return StatusError(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={short}).")


def already_exists(name: str) -> StatusError:
    """Say that a resource of this name exists."""
    short = name.rsplit("/", 1)[-1]
    message = f"Resource already exists in the project (resource={short})."
    return StatusError(grpc.StatusCode.ALREADY_EXISTS, message)


def invalid(message: str) -> StatusError:
    """Say that a request is wrong in itself."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> StatusError:
    """Say that a request does not fit the state of its resource."""
    return StatusError(grpc.StatusCode.FAILED_PRECONDITION, message)


def unimplemented(message: str) -> StatusError:
    """Say that the local server lacks what the request asks for."""
    return StatusError(grpc.StatusCode.UNIMPLEMENTED, message)


def invalid_ack_ids(gone: Iterable[str], spared: Iterable[str]) -> StatusError:
    """Say which acknowledgements of an exactly-once subscription came too late.

    `spared` are those of the same request that were not applied, and are to be tried again.
    Ids that find no place among the details share the fate that the code means to clients:
    ABORTED lets them repeat.
    """
    fates = {**dict.fromkeys(gone, INVALID_ACK_ID), **dict.fromkeys(spared, TRY_AGAIN)}
    fits = len(fates) <= MOST_NAMED
    return StatusError(
        grpc.StatusCode.FAILED_PRECONDITION if fits else grpc.StatusCode.ABORTED,
        "Some acknowledgement ids in the request were invalid: they may have expired, so that "
        "their messages will be delivered again.",
        dict(islice(fates.items(), MOST_NAMED)),
    )
