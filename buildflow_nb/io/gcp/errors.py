"""What an error of Google Cloud means for a processor, in a sentence that says how to mend it.

Codes: "google.rpc.Code", the canonical codes of all Google APIs; Cloud Storage's are those of HTTP
(Cloud Storage documentation, "HTTP status and error codes"). A code that is not known here is
permanent: the service has understood the request and refuses it, and will again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildflow_nb.core.errors import (
    AbsentError,
    BuildFlowError,
    DeniedError,
    PermanentError,
    TemporaryError,
)

if TYPE_CHECKING:
    from google.auth.exceptions import GoogleAuthError
    from grpc.aio import AioRpcError

__all__ = ("Target",)

PASSING = frozenset({"ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"})
HTTP_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
}
SERVER_FAULT = 500  # HTTP status from which on the fault is the service's
NO_CREDENTIALS = (
    "; give gcp_service_account_info in FlowOptions, or run `gcloud auth application-default login`"
)


@dataclass(frozen=True, slots=True)
class Target:
    """What is called, as people name it: `kind` "topic", `name` "orders", in which stack."""

    kind: str
    name: str
    stack: str

    def refused(self, error: AioRpcError, role: str) -> BuildFlowError:
        """What a failed gRPC call means; `role` is the one that allows it."""
        return self._fault(error.code().name, error.details() or "", role)

    @contextmanager
    def faults(self, role: str) -> Iterator[None]:
        """Turn errors of a client over HTTP, or of finding credentials, into ours.

        Raises:
            TemporaryError: it is missing, throttled or cannot be reached; asking again may help.
            PermanentError: it refuses us for good; a `DeniedError` where a permission is missing.
        """
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests import RequestException

        unreachable = (DataCorruption, ConnectionError, RequestException)
        try:
            yield
        except (GoogleAPICallError, RetryError, InvalidResponse) as error:
            raise self._answered(error, role) from error
        except GoogleAuthError as error:
            raise self._unknown(error, role) from error
        except unreachable as error:
            raise self._unreached(error) from error

    def _answered(self, error: Exception, role: str) -> BuildFlowError:
        """What a refusal over HTTP means; the client may have tried again for some time."""
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.cloud.storage.exceptions import InvalidResponse

        last = error.cause if isinstance(error, RetryError) else error
        if isinstance(last, InvalidResponse):
            status, said = int(last.response.status_code), f"HTTP {last.response.status_code}"
        elif isinstance(last, GoogleAPICallError):
            status, said = int(last.code or SERVER_FAULT), last.message or ""
        else:
            return self._unreached(last or error)
        other = "UNAVAILABLE" if status >= SERVER_FAULT else "INVALID_ARGUMENT"
        return self._fault(HTTP_CODES.get(status, other), said, role)

    def _unknown(self, error: GoogleAuthError, role: str) -> BuildFlowError:
        """What it means that credentials were not found, or not taken."""
        from google.auth.exceptions import DefaultCredentialsError, TransportError

        if isinstance(error, DefaultCredentialsError):
            msg = f"{self} cannot be used without credentials of Google Cloud{NO_CREDENTIALS}"
            return PermanentError(msg)
        if isinstance(error, TransportError) or error.retryable:
            return self._unreached(error)
        return self._fault("UNAUTHENTICATED", _line(error), role)

    def _unreached(self, error: Exception) -> BuildFlowError:
        return TemporaryError(f"{self} cannot be reached: {_line(error)}")

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def _fault(self, code: str, text: str, role: str) -> BuildFlowError:
        said = f"{code}: {' '.join(text.split())}".rstrip(": ")
        if code == "NOT_FOUND":
            msg = f"{self} does not exist in stack {self.stack} (run %buildflow apply)"
            return AbsentError(msg)
        if code == "RESOURCE_EXHAUSTED":
            return TemporaryError(f"{self} is asked too often for now ({said})")
        if code == "UNAVAILABLE":
            return TemporaryError(f"{self} cannot be reached ({said})")
        if code in PASSING:
            return TemporaryError(f"{self} cannot answer for now ({said})")
        kind = DeniedError if code == "PERMISSION_DENIED" else PermanentError
        return kind(f"{self} {_remedy(code, role)} ({said})")


def _remedy(code: str, role: str) -> str:
    """What is wrong for good, and what to do about it."""
    if code == "PERMISSION_DENIED":
        return f"denies access; grant the role {role}"
    if code == "UNAUTHENTICATED":
        return "refuses the credentials of Google Cloud; renew them"
    return "refuses the request"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
