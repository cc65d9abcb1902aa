"""An S3 bucket: a sink of CSV, JSON Lines or Parquet, one object for each push.

A push is made of what comes within `linger_s`, at most `max_push` elements. Nothing that is there
is ever rewritten; delivery is at least once, so after a failure an element may be in two objects.
`PutObject` is atomic: readers see the whole object or none (Amazon S3 User Guide, "Data consistency
model"). It goes with a checksum, which S3 compares with what has arrived.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Site, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.aws.clients import bucket_resource, connect, default_region
from buildflow_nb.io.aws.errors import Target
from buildflow_nb.io.aws.s3.lister import S3Lister
from buildflow_nb.io.blocking import BlockingSink
from buildflow_nb.io.bucket_look import seen_bucket
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.files.parts import PartWriter, parts_of
from buildflow_nb.io.files.paths import format_of
from buildflow_nb.types.portable import FileFormat

__all__ = ("AWSBucket", "S3Bucket")

# Amazon S3 User Guide, "General purpose bucket naming rules".
LEGAL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
ADDRESS = re.compile(r"\d+(?:\.\d+){3}")
TAKEN_BEGINNINGS = ("xn--", "sthree-", "amzn-s3-demo-")
TAKEN_ENDINGS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


@dataclass(frozen=True, slots=True)
class S3Bucket(Injectable):
    """The bucket `bucket_name`.

    Objects are named `{file_path}/part-<time>-<number>-<random>.<ending>`. Their format is
    `file_format` (a `FileFormat` or its name, in any case of letters), else what the ending of
    `file_path` tells, else Parquet.

    Raises:
        DeclarationError: S3 has no such names, a field is no text, or the format is unknown.
    """

    cloud: ClassVar[str] = "aws"
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    max_push: ClassVar[int] = 5_000  # elements in one object
    # Every object costs a request, to write and for ever after to read.
    linger_s: ClassVar[float] = 1.0

    bucket_name: str
    file_path: str | None = None
    file_format: FileFormat | str | None = None
    aws_region: str | None = None
    force_destroy: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_texts(self, ("bucket_name",), ("file_path", "aws_region"))
        owner = f"S3Bucket {self.bucket_name!r}"
        wrong = _wrong(self.bucket_name)
        if wrong:
            msg = f"{owner}: {wrong}"
            raise DeclarationError(msg)
        found = format_of(self.file_path or "", self.file_format, FileFormat.PARQUET, owner)
        object.__setattr__(self, "file_format", found)

    @classmethod
    def from_aws_options(cls, aws_options: object, *, bucket_name: str) -> Self:
        """The bucket in the region that options of a cloud provider name."""
        return cls(bucket_name, aws_region=default_region(aws_options))

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The bucket of this name.

        Raises:
            DeclarationError: S3 has no such names.
        """
        return cls(resource_id)

    def options(self, *, force_destroy: bool = False) -> Self:
        """This bucket with other options; `force_destroy` lets destroy delete its objects too."""
        return replace(self, force_destroy=force_destroy)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The bucket's URL."""
        return PrimitiveId(self.bucket_url)

    @property
    def bucket_url(self) -> str:
        """The bucket as `s3://…`."""
        return f"s3://{self.bucket_name}"

    @property
    def label(self) -> str:
        """The bucket and, if there is one, the path."""
        return f"{self.bucket_name}/{self._folder}" if self._folder else self.bucket_name

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink; the bucket is met by the first push."""
        parts = parts_of(cast("FileFormat", self.file_format), element)
        return BlockingSink(PartWriter(self._store(env), self._folder, parts))

    def vendor_bucket(self, env: Env, *, quota_project: str | None, region: str | None) -> Any:  # noqa: ARG002
        """boto3's resource `s3.Bucket`, as `BucketPrimitive` says; quota projects are Google's."""
        with Target("bucket", self.bucket_name, env.stack_said).faults("s3:GetObject"):
            return bucket_resource(env, region or self.aws_region, self.bucket_name)

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the bucket is there, by asking for the name of one object."""
        store = self._store(env)
        return await looked(
            self,
            lambda: on_thread(store.look),
            load=lambda: on_thread(store.open),
            unseen="s3:ListBucket",
        )

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """What is in the bucket, one page of names by a prefix, and an object's first rows."""
        return await seen_bucket(
            self, "S3 bucket", self._lister(env), lambda: on_thread(self._store(env).open), asked
        )

    async def download(self, env: Env, key: str, take: Callable[[bytes], object]) -> None:
        """Hand an object's bytes to `take`, as `Browsable` says."""
        lister = self._lister(env)
        await on_thread(lambda: lister.fetch(key, take))

    def billed(self) -> Billed:
        """Storage and requests."""
        return Billed("aws:s3/bucket:Bucket")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The bucket; gives `arn`, `url` and `name`."""
        from pulumi_aws import s3

        bucket = s3.Bucket(
            self.bucket_name,
            bucket=self.bucket_name,
            force_destroy=self.force_destroy,
            opts=site.aws(self.aws_region),
        )
        return {"arn": bucket.arn, "url": self.bucket_url, "name": bucket.bucket}

    def cloud_console_url(self) -> str:
        """Where the bucket is in Amazon's console, for whoever is signed in to its account."""
        region = f"?region={self.aws_region}" if self.aws_region else ""
        return f"https://console.aws.amazon.com/s3/buckets/{self.bucket_name}{region}"

    def _store(self, env: Env) -> _Store:
        target = Target("bucket", self.bucket_name, env.stack_said)
        return _Store(lambda: connect(env, "s3", self.aws_region), target)

    def _lister(self, env: Env) -> S3Lister:
        target = Target("bucket", self.bucket_name, env.stack_said)
        return S3Lister(lambda: connect(env, "s3", self.aws_region), target)

    @property
    def _folder(self) -> str:
        return (self.file_path or "").strip("/")


def _wrong(name: str) -> str:
    """What S3 has against a name, if anything."""
    if not LEGAL_NAME.fullmatch(name):
        return "a name has 3 to 63 small letters, digits, '-' and '.'"
    if ADDRESS.fullmatch(name):
        return "a name is no IP address; add a letter"
    if name.startswith(TAKEN_BEGINNINGS):
        return f"S3 keeps names that begin with {', '.join(TAKEN_BEGINNINGS)} for itself"
    if name.endswith(TAKEN_ENDINGS):
        return f"S3 keeps names that end with {', '.join(TAKEN_ENDINGS)} for itself"
    return ""


class _Store:
    """Puts objects into the bucket `target`, through the client that `connect` gives."""

    def __init__(self, connect: Callable[[], Any], target: Target) -> None:
        self._connect = connect
        self._target = target

    def open(self) -> None:
        """Make the client, so that missing credentials or a missing region are told at once."""
        with self._target.faults("s3:PutObject"):
            self._connect()

    def look(self) -> str:
        """Look whether the bucket is there.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us; a `DeniedError` where it may not be listed.
        """
        with self._target.faults("s3:ListBucket"):
            # HeadBucket, which is meant for this, says neither why it refuses nor where it is.
            self._connect().list_objects_v2(Bucket=self._target.name, MaxKeys=1)
        return "is there"

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Put an object there; raises as `PartStore.put`."""
        with self._target.faults("s3:PutObject"):
            self._connect().put_object(
                Bucket=self._target.name,
                Key=name,
                Body=body,
                ContentType=content_type,
                ChecksumCRC32=base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
            )


AWSBucket = S3Bucket  # the name that BuildFlow's documents use
