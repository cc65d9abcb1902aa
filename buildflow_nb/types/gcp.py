"""What Pub/Sub carries, what Cloud Storage says of a bucket's objects, what Cloud SQL is made of.

Names of events: Cloud Storage documentation, "Pub/Sub notifications", section "Event types". One
that is not known here becomes `UNKNOWN`; its name stays in the event's `metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Self, cast

from buildflow_nb.types.portable import FileChangeEvent, PortableFileChangeEventType, of_portable

__all__ = (
    "CloudSQLDatabaseVersion",
    "CloudSQLInstanceSettings",
    "GCSChangeStreamEventType",
    "GCSFileChangeEvent",
    "MessageBytes",
    "PubsubMessage",
)

if TYPE_CHECKING:
    from pulumi_gcp.sql import DatabaseInstanceSettingsArgs as CloudSQLInstanceSettings

FETCH_S = 60.0  # for connecting, and between two pieces of an object; a dead connection ends here


class MessageBytes(bytes):
    """The data of a message, with the attributes and the ordering key that it is published with."""

    attributes: Mapping[str, str]
    ordering_key: str

    @classmethod
    def of(cls, data: bytes, attributes: Mapping[str, str], ordering_key: str) -> Self:
        """The data of a message with the rest of it."""
        made = cls(data)
        made.attributes = attributes
        made.ordering_key = ordering_key
        return made


class CloudSQLDatabaseVersion(StrEnum):
    """The versions that Cloud SQL has; an instance of another kind than Postgres is refused."""

    POSTGRES_9_6 = "POSTGRES_9_6"
    POSTGRES_10 = "POSTGRES_10"
    POSTGRES_11 = "POSTGRES_11"
    POSTGRES_12 = "POSTGRES_12"
    POSTGRES_13 = "POSTGRES_13"
    POSTGRES_14 = "POSTGRES_14"
    POSTGRES_15 = "POSTGRES_15"
    POSTGRES_16 = "POSTGRES_16"
    POSTGRES_17 = "POSTGRES_17"
    POSTGRES_18 = "POSTGRES_18"
    MYSQL_5_6 = "MYSQL_5_6"
    MYSQL_5_7 = "MYSQL_5_7"
    MYSQL_8_0 = "MYSQL_8_0"
    SQLSERVER_2017_STANDARD = "SQLSERVER_2017_STANDARD"
    SQLSERVER_2017_ENTERPRISE = "SQLSERVER_2017_ENTERPRISE"
    SQLSERVER_2017_EXPRESS = "SQLSERVER_2017_EXPRESS"
    SQLSERVER_2017_WEB = "SQLSERVER_2017_WEB"
    SQLSERVER_2019_STANDARD = "SQLSERVER_2019_STANDARD"
    SQLSERVER_2019_ENTERPRISE = "SQLSERVER_2019_ENTERPRISE"
    SQLSERVER_2019_EXPRESS = "SQLSERVER_2019_EXPRESS"
    SQLSERVER_2019_WEB = "SQLSERVER_2019_WEB"


def __getattr__(name: str) -> Any:
    """Pulumi's class of an instance's settings, whose module takes long to load."""
    if name != "CloudSQLInstanceSettings":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from pulumi_gcp.sql import DatabaseInstanceSettingsArgs

    return DatabaseInstanceSettingsArgs


@dataclass(slots=True)
class PubsubMessage:
    """A message, as it was received or as it is to be published.

    What is received has an `ack_id` and a `message_id`; Pub/Sub gives new ones to what is
    published. `ordering_key` is "" for messages that have no order.
    """

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    ack_id: str = ""
    ordering_key: str = ""
    message_id: str = ""

    def to_bytes(self) -> bytes:
        """The data; a sink that is a topic finds the attributes in it too."""
        return MessageBytes.of(self.data, self.attributes, self.ordering_key)


class GCSChangeStreamEventType(Enum):
    """What happened to an object; made from its value or its name, in any case of letters."""

    OBJECT_FINALIZE = "created"
    OBJECT_DELETE = "deleted"
    OBJECT_ARCHIVE = "archive"
    OBJECT_METADATA_UPDATE = "metadata_update"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        wanted = value.lower()
        found = (m for m in cls if wanted in (m.value, m.name.lower()))
        return next(found, cls.UNKNOWN)

    @classmethod
    def from_portable_type(
        cls, portable_type: PortableFileChangeEventType
    ) -> GCSChangeStreamEventType:
        """The one that says the same of an object.

        Raises:
            ValueError: there is none.
        """
        return of_portable(
            cls.__name__,
            portable_type,
            {
                PortableFileChangeEventType.CREATED: cls.OBJECT_FINALIZE,
                PortableFileChangeEventType.DELETED: cls.OBJECT_DELETE,
            },
        )


@dataclass
class GCSFileChangeEvent(FileChangeEvent):
    """An object of a bucket came, changed or went.

    `file_path` is the object's name; `metadata` is the attributes of Cloud Storage's message.
    """

    event_type: GCSChangeStreamEventType
    storage_client: Any = field(default=None, repr=False, compare=False)

    @property
    def bucket_name(self) -> str | None:
        """The bucket's name."""
        return cast("str | None", self.metadata.get("bucketId"))

    @property
    def blob(self) -> bytes:
        """The object's content, fetched at this moment (blocks).

        Raises:
            ValueError: the object was deleted, or there is nothing to fetch it with.
            FileNotFoundError: it has gone since.
        """
        if self.event_type is GCSChangeStreamEventType.OBJECT_DELETE:
            msg = "Can't fetch blob for `delete` event."
            raise ValueError(msg)
        if self.bucket_name is None or self.storage_client is None:
            msg = f"the event {self.event_type.name} speaks of no object that can be fetched"
            raise ValueError(msg)
        from google.api_core.exceptions import NotFound

        found = self.storage_client.bucket(self.bucket_name).blob(self.file_path)
        try:
            return cast("bytes", found.download_as_bytes(timeout=FETCH_S))
        except NotFound as error:
            msg = f"gs://{self.bucket_name}/{self.file_path} has gone since"
            raise FileNotFoundError(msg) from error
