"""What an error of boto3 means for a processor, in a sentence that says how to mend it.

Codes: Amazon SQS and S3 API references, "Common errors" and "Error responses". A client error that
is not known here is permanent: AWS has understood the request and refuses it, and will again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from buildflow_nb.core.errors import (
    AbsentError,
    BuildFlowError,
    DeniedError,
    PermanentError,
    TemporaryError,
)

__all__ = ("THROTTLED", "Target")

MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "NonExistentQueue",
        "NoSuchBucket",
        "QueueDeletedRecently",
        "QueueDoesNotExist",
    }
)
THROTTLED = frozenset(
    {
        "KmsThrottled",
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        "OverLimit",
        "PurgeQueueInProgress",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "AuthFailure",
        "KmsAccessDenied",
        "UnauthorizedOperation",
    }
)
UNKNOWN_KEYS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
ELSEWHERE = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
SERVER_FAULT = 500  # HTTP status from which on the fault is the service's


@dataclass(frozen=True, slots=True)
class Target:
    """What is called, as people name it: `kind` "queue", `name` "orders", in which stack."""

    kind: str
    name: str
    stack: str

    @contextmanager
    def faults(self, action: str) -> Iterator[None]:
        """Turn boto3's errors into ours; `action` is the IAM action ("sqs:SendMessage").

        Raises:
            TemporaryError: it is missing, throttled or cannot be reached; asking again may help.
            PermanentError: it refuses us for good; a `DeniedError` where a permission is missing.
        """
        from botocore import exceptions as boto
        from botocore.parsers import ResponseParserError

        unreachable = (
            boto.HTTPClientError,
            boto.ConnectionError,
            boto.CredentialRetrievalError,
            boto.MetadataRetrievalError,
            ResponseParserError,  # something in between has answered, or half an answer came
        )
        try:
            yield
        except boto.ClientError as error:
            raise self._refused(error.response, action) from error
        except unreachable as error:
            msg = f"{self} cannot be reached: {_line(error)}"
            raise TemporaryError(msg) from error
        except boto.BotoCoreError as error:
            msg = f"{self} cannot be used: {_line(error)}{_HINTS.get(type(error).__name__, '')}"
            raise PermanentError(msg) from error

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def _refused(self, response: dict[str, dict[str, object]], action: str) -> BuildFlowError:
        error = response.get("Error", {})
        code, text = str(error.get("Code", "")), str(error.get("Message", "")).strip()
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = f"{code}: {text}" if text else code
        if code in MISSING:
            msg = f"{self} does not exist in stack {self.stack} (run %buildflow apply)"
            return AbsentError(msg)
        if code in THROTTLED:
            return TemporaryError(f"{self} is asked too often for now ({said})")
        if isinstance(status, int) and status >= SERVER_FAULT:
            return TemporaryError(f"{self} cannot answer for now ({said})")
        kind = DeniedError if code in DENIED else PermanentError
        return kind(f"{self} {self._remedy(code, error.get('Region'), action)} ({said})")

    def _remedy(self, code: str, region: object, action: str) -> str:
        """What is wrong for good, and what to do about it."""
        if code in DENIED:
            return f"denies access; allow the action {action}"
        if code in UNKNOWN_KEYS:
            return "refuses the AWS credentials; renew them"
        if code in ELSEWHERE:
            where = f"in {region}" if region else "in another region"
            return f"lies {where}; give that as aws_region"
        return f"refuses {action}"


_HINTS = {
    "NoCredentialsError": "; give aws_access_key_id and aws_secret_access_key in FlowOptions, or "
    "set them up as for the AWS CLI",
    "NoRegionError": "; give aws_region, or aws_options.default_region in buildflow.yaml",
}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
