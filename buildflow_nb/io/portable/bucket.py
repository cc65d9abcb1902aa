"""A bucket of the stack's cloud."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.portable import Role
from buildflow_nb.core.primitive import Env, PrimitiveId
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.portable.provider import provider_of
from buildflow_nb.types.portable import FileFormat

__all__ = ("Bucket",)


@dataclass(frozen=True)
class Bucket(Injectable):
    """The bucket `bucket_name`: an `S3Bucket` on aws and local, a `GCSBucket` on gcp.

    The other fields are theirs.

    Raises:
        DeclarationError: a field is no text.
    """

    cloud: ClassVar[str] = "agnostic"

    bucket_name: str
    file_path: str | None = field(default=None, kw_only=True)
    file_format: FileFormat | str | None = field(default=None, kw_only=True)
    force_destroy: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_texts(self, ("bucket_name",), ("file_path",))

    @property
    def primitive_id(self) -> PrimitiveId:
        """The bucket's name."""
        return PrimitiveId(self.bucket_name)

    def placed(self, env: Env, role: Role) -> tuple[Any, ...]:
        """The bucket that it is on this stack.

        Raises:
            DeclarationError: nobody said which cloud, or it has no such names.
        """
        del role
        words = {
            "file_path": self.file_path,
            "file_format": self.file_format,
            "force_destroy": self.force_destroy,
        }
        if provider_of(f"Bucket {self.bucket_name!r}", env) == "gcp":
            from buildflow_nb.io.gcp import GCSBucket

            made = GCSBucket(None, self.bucket_name, **words)  # type: ignore[arg-type]
            return (made,)
        from buildflow_nb.io.aws import S3Bucket

        return (S3Bucket(self.bucket_name, **words),)  # type: ignore[arg-type]

    def vendor_bucket(self, env: Env, *, quota_project: str | None, region: str | None) -> Any:
        """The vendor's own object (`core.primitive_clients.BucketPrimitive`).

        Raises:
            PermanentError: no credentials, or no region, are known.
            DeclarationError: nobody said which cloud.
        """
        (bucket,) = self.placed(env, "dependency")
        return bucket.vendor_bucket(env, quota_project=quota_project, region=region)
