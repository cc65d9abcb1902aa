"""The events in messages of S3.

Format: Amazon S3 User Guide, "Event message structure". A message holds `Records`, nearly always
one; the keys in them are URL-encoded with `+` for a space. S3 sends a message without records, the
test event, when a notification is configured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from buildflow_nb.core.primitive import Malformed, Source
from buildflow_nb.io.events import EventSource
from buildflow_nb.types.aws import S3ChangeStreamEventType, S3FileChangeEvent

__all__ = ("event_source", "events_of")

TEST_EVENT = "s3:TestEvent"
# What no encoded key holds: some emulators send keys as they are.
NOT_ENCODED = re.compile(r"[^!-~]|%(?![0-9A-Fa-f]{2})")
_DECODER = msgspec.json.Decoder()


def event_source(queue: Source, s3_client: object, *, test_events: bool) -> EventSource:
    """The events of a bucket, out of its queue; `s3_client` fetches objects."""
    read = partial(events_of, s3_client=s3_client, test_events=test_events)
    return EventSource(queue, read, _origin)


def events_of(
    body: str, s3_client: object, *, test_events: bool
) -> list[S3FileChangeEvent | Malformed]:
    """The events of a message; none for a test event, unless those are wanted.

    Anybody who may send to the queue may send anything: what cannot be read fails alone.
    """
    try:
        return _read(body, s3_client, test_events=test_events)
    except Exception as error:  # noqa: BLE001  (a RecursionError, say, of JSON that nests deeply)
        return [
            Malformed(body, f"cannot be read as a message of S3: {type(error).__name__}: {error}")
        ]


def _read(
    body: str, s3_client: object, *, test_events: bool
) -> list[S3FileChangeEvent | Malformed]:
    try:
        message = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        return [Malformed(body, f"not JSON, so no message of S3: {error}")]
    if not isinstance(message, dict):
        return [Malformed(body, "no JSON object, so no message of S3")]
    if isinstance(message.get("Records"), list):
        return [_event(record, s3_client) for record in message["Records"]]
    if message.get("Event") != TEST_EVENT:
        return [Malformed(body, "neither Records nor a test event, so no message of S3")]
    return [_test_event(message)] if test_events else []


def _event(record: Any, s3_client: object) -> S3FileChangeEvent | Malformed:
    try:
        s3 = record["s3"]
        return S3FileChangeEvent(
            _decoded(s3["object"]["key"]),
            S3ChangeStreamEventType(str(record["eventName"])),
            record,
            s3["bucket"]["name"],
            s3_client,
        )
    except (KeyError, TypeError) as error:
        return Malformed(record, f"a record without the names of event, bucket and key: {error}")


def _test_event(message: Mapping[str, Any]) -> S3FileChangeEvent:
    return S3FileChangeEvent("", S3ChangeStreamEventType.UNKNOWN, message, message.get("Bucket"))


def _decoded(key: str) -> str:
    return key if NOT_ENCODED.search(key) else unquote_plus(key)


def _origin(item: object) -> str:
    bucket, key = getattr(item, "bucket_name", None), getattr(item, "file_path", "")
    return f"s3://{bucket}/{key}" if bucket else "a message of S3"
