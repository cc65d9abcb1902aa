"""What AWS says about the objects of a bucket.

Names of events: Amazon S3 User Guide, "Supported event types for SQS, SNS, and Lambda". Messages
carry them without the `s3:` in front. AWS adds events over the years, so one that is not known
here becomes `UNKNOWN`; its name stays in the event's `metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self, cast

from buildflow_nb.types.portable import FileChangeEvent, PortableFileChangeEventType, of_portable

__all__ = ("S3ChangeStreamEventType", "S3FileChangeEvent")


class S3ChangeStreamEventType(Enum):
    """What happened to an object; made from its value, with or without `s3:`, or its name."""

    OBJECT_CREATED_ALL = "ObjectCreated:*"
    OBJECT_CREATED_PUT = "ObjectCreated:Put"
    OBJECT_CREATED_POST = "ObjectCreated:Post"
    OBJECT_CREATED_COPY = "ObjectCreated:Copy"
    OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD = "ObjectCreated:CompleteMultipartUpload"
    OBJECT_REMOVED_ALL = "ObjectRemoved:*"
    OBJECT_REMOVED_DELETE = "ObjectRemoved:Delete"
    OBJECT_REMOVED_DELETE_MARKER_CREATED = "ObjectRemoved:DeleteMarkerCreated"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        wanted = value.removeprefix("s3:").lower()
        found = (m for m in cls if wanted in (m.value.lower(), m.name.lower()))
        return next(found, cls.UNKNOWN)

    @classmethod
    def create_event_types(cls) -> list[Self]:
        """Those of an object that came."""
        return [kind for kind in cls if kind.value.startswith("ObjectCreated:")]

    @classmethod
    def delete_event_types(cls) -> list[Self]:
        """Those of an object that went."""
        return [kind for kind in cls if kind.removed]

    @classmethod
    def from_portable_type(
        cls, portable_type: PortableFileChangeEventType
    ) -> S3ChangeStreamEventType:
        """The one that covers all that happened in this way.

        Raises:
            ValueError: there is none.
        """
        return of_portable(
            cls.__name__,
            portable_type,
            {
                PortableFileChangeEventType.CREATED: cls.OBJECT_CREATED_ALL,
                PortableFileChangeEventType.DELETED: cls.OBJECT_REMOVED_ALL,
            },
        )

    def to_portable_type(self) -> PortableFileChangeEventType:
        """What happened, in words that every cloud knows."""
        if self.removed:
            return PortableFileChangeEventType.DELETED
        created = self in self.create_event_types()
        portable = PortableFileChangeEventType
        return portable.CREATED if created else portable.UNKNOWN

    @property
    def removed(self) -> bool:
        """Whether the object is gone."""
        return self.value.startswith("ObjectRemoved:")


@dataclass
class S3FileChangeEvent(FileChangeEvent):
    """An object of a bucket came or went.

    `file_path` is the object's key as it was given to S3, decoded; `metadata` is the record of the
    message. A test event (`s3:TestEvent`), where those are wanted, has an empty `file_path`.
    """

    event_type: S3ChangeStreamEventType
    bucket_name: str | None = None
    s3_client: Any = field(default=None, repr=False, compare=False)

    @property
    def blob(self) -> bytes:
        """The object's content, fetched at this moment (blocks).

        Raises:
            ValueError: the object was deleted, or the event speaks of none.
            FileNotFoundError: it has gone since.
        """
        if self.event_type.removed:
            msg = "Can't fetch blob for `delete` event."
            raise ValueError(msg)
        if not self.file_path or self.s3_client is None:
            msg = f"the event {self.event_type.name} speaks of no object that can be fetched"
            raise ValueError(msg)
        try:
            reply = self.s3_client.get_object(Bucket=self.bucket_name, Key=self.file_path)
        except self.s3_client.exceptions.NoSuchKey as error:
            msg = f"s3://{self.bucket_name}/{self.file_path} has gone since"
            raise FileNotFoundError(msg) from error
        with reply["Body"] as body:
            return cast("bytes", body.read())
