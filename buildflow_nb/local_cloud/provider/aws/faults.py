"""What AWS's error codes mean to a provider."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

__all__ = ("REFUSALS", "code_of", "is_gone")

REFUSALS = (ClientError, BotoCoreError)
GONE = frozenset(
    {
        "404",  # HEAD requests have no body and thus no better code
        "NoSuchBucket",
        "NotFound",
        "AWS.SimpleQueueService.NonExistentQueue",  # Amazon SQS API reference, common errors
        "QueueDoesNotExist",
    }
)


def code_of(error: ClientError) -> str:
    """The code of an error answer."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_gone(error: ClientError) -> bool:
    """Whether an error answer says that the resource is not there."""
    return code_of(error) in GONE
