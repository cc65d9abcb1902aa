"""Changes of the files of a folder or a bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.portable import Role
from buildflow_nb.core.primitive import Env, PrimitiveId
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.portable.provider import provider_of
from buildflow_nb.types.portable import PortableFileChangeEventType

__all__ = ("FileChangeStream",)

_SCHEMES = ("s3://", "gs://", "gcs://")


@dataclass(frozen=True)
class FileChangeStream(Injectable):
    """Changes below `file_path`: a folder on local, a bucket's name or URL on aws and gcp.

    Its elements are a `types.portable.FileChangeEvent`, whatever the cloud.

    Raises:
        DeclarationError: the path is no text, or an event type is none of
            `PortableFileChangeEventType`.
    """

    cloud: ClassVar[str] = "agnostic"

    file_path: str
    event_types: Iterable[PortableFileChangeEventType] = (PortableFileChangeEventType.CREATED,)

    def __post_init__(self) -> None:
        check_texts(self, ("file_path",), ())
        kinds = self.event_types
        one = isinstance(kinds, (str, PortableFileChangeEventType))
        try:
            found = tuple(map(PortableFileChangeEventType, (kinds,) if one else kinds))
        except (ValueError, TypeError) as error:
            msg = f"FileChangeStream: event_types has {error}; give PortableFileChangeEventType"
            raise DeclarationError(msg) from error
        object.__setattr__(self, "event_types", found)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The path."""
        return PrimitiveId(self.file_path)

    def placed(self, env: Env, role: Role) -> tuple[Any, ...]:
        """The stream that it is on this stack.

        Raises:
            DeclarationError: nobody said which cloud, it has no such names, or it does not tell
                such events.
        """
        del role
        owner = f"FileChangeStream {self.file_path!r}"
        provider = provider_of(owner, env)
        if provider == "local":
            from buildflow_nb.io.local import LocalFileChangeStream
            from buildflow_nb.types.local import FileChangeStreamEventType as LocalKind

            return (LocalFileChangeStream(self.file_path, self._kinds(owner, LocalKind)),)
        if provider == "gcp":
            from buildflow_nb.io.gcp import GCSBucket, GCSFileChangeStream
            from buildflow_nb.types.gcp import GCSChangeStreamEventType as GCSKind

            bucket = GCSBucket(None, self._bucket(owner))
            return (GCSFileChangeStream(bucket, self._kinds(owner, GCSKind)),)
        from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream
        from buildflow_nb.types.aws import S3ChangeStreamEventType as S3Kind

        return (S3FileChangeStream(S3Bucket(self._bucket(owner)), self._kinds(owner, S3Kind)),)

    def _kinds(self, owner: str, kinds: Any) -> tuple[Any, ...]:
        try:
            return tuple(kinds.from_portable_type(one) for one in self.event_types)
        except ValueError as error:
            msg = f"{owner}: {error}"
            raise DeclarationError(msg) from error

    def _bucket(self, owner: str) -> str:
        path = self.file_path
        for scheme in _SCHEMES:
            path = path.removeprefix(scheme)
        name, _, below = path.strip("/").partition("/")
        if below:
            msg = f"{owner}: changes are told of a whole bucket; write {name!r}"
            raise DeclarationError(msg)
        return name
