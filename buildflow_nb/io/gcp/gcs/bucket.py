"""A Cloud Storage bucket: a sink of CSV, JSON Lines or Parquet, one object for each push.

A push is made of what comes within `linger_s`, at most `max_push` elements. Nothing that is there
is ever rewritten; delivery is at least once, so after a failure an element may be in two objects.
An upload is atomic: readers see the whole object or none (Cloud Storage documentation,
"Consistency"). It goes with a checksum, which Cloud Storage compares with what has arrived, and
with the condition that no such object is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Site, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.blocking import BlockingSink
from buildflow_nb.io.bucket_look import seen_bucket
from buildflow_nb.io.checks import CHECK_S, looked, on_thread
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.files.parts import PartWriter, parts_of
from buildflow_nb.io.files.paths import format_of
from buildflow_nb.io.gcp.clients import (
    console_url,
    default_project,
    default_region,
    own_name,
    storage_client,
)
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.gcs.lister import GCSLister
from buildflow_nb.types.portable import FileFormat

__all__ = ("GCSBucket",)

# Cloud Storage documentation, "Bucket naming requirements": up to 63 characters, or, with dots, up
# to 222 of which no part between dots has more than 63.
LEGAL_NAME = re.compile(r"(?!goog)(?=.{3,222}$)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
PART_LENGTH = 63
ADDRESS = re.compile(r"\d+(?:\.\d+){3}")
TAKEN = re.compile("g[o0]{2}gle")  # "google" and close misspellings of it

ROLE = "roles/storage.objectCreator"
LOOK_ROLE = "roles/storage.bucketViewer"
ATTEMPT_S = 30.0  # for connecting, and for an answer
RETRY_S = 5.0  # for further attempts; the pipeline tries again too, and shows that it does
DELAYS_S = (0.2, 2.0)  # between them, at first and at most
NOT_THERE = 0  # the generation of an object that does not exist


@dataclass(frozen=True, slots=True)
class GCSBucket(Injectable):
    """The bucket `bucket_name` of a project, or of the stack's project where that is None.

    With one argument alone, that is the bucket's name: `GCSBucket("inbox")`. Objects are named
    `{file_path}/part-<time>-<number>-<random>.<ending>`. Their format is `file_format` (a
    `FileFormat` or its name, in any case of letters), else what the ending of `file_path` tells,
    else Parquet.

    Raises:
        DeclarationError: Cloud Storage has no such names, a field is no text, or the format is
            unknown.
    """

    cloud: ClassVar[str] = "gcp"
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    max_push: ClassVar[int] = 5_000  # elements in one object
    # Every object costs a request, to write and for ever after to read.
    linger_s: ClassVar[float] = 1.0

    project_id: str | None = None
    bucket_name: str = ""
    file_path: str | None = None
    file_format: FileFormat | str | None = None
    force_destroy: bool = field(default=False, kw_only=True)
    bucket_region: str = field(default="US", kw_only=True)

    def __post_init__(self) -> None:
        if self.bucket_name == "":
            given = "" if self.project_id is None else self.project_id
            object.__setattr__(self, "bucket_name", given)
            object.__setattr__(self, "project_id", None)
        check_texts(self, ("bucket_name", "bucket_region"), ("project_id", "file_path"))
        owner = f"GCSBucket {self.bucket_name!r}"
        wrong = _wrong(self.bucket_name)
        if wrong:
            msg = f"{owner}: {wrong}"
            raise DeclarationError(msg)
        found = format_of(self.file_path or "", self.file_format, FileFormat.PARQUET, owner)
        object.__setattr__(self, "file_format", found)

    @classmethod
    def from_gcp_options(
        cls,
        gcp_options: object,
        *,
        bucket_name: str | None = None,
        file_path: str | None = None,
        file_format: FileFormat | str | None = None,
    ) -> Self:
        """The bucket in the project, and made in the region, that options of a provider name.

        Without a name it is one of the project's own, `buildflow_…`.

        Raises:
            DeclarationError: there is no name, and the options name no project to make one of.
        """
        project = default_project(gcp_options)
        name = bucket_name or own_name("GCSBucket", "buildflow", project)
        region = default_region(gcp_options) or "US"
        return cls(project, name, file_path, file_format, bucket_region=region)

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The bucket of this name.

        Raises:
            DeclarationError: Cloud Storage has no such names.
        """
        return cls(None, resource_id)

    def options(self, *, force_destroy: bool = False, bucket_region: str = "US") -> Self:
        """This bucket with other options.

        `force_destroy` lets destroy delete its objects too; `bucket_region` is the location that
        it is made in.
        """
        return replace(self, force_destroy=force_destroy, bucket_region=bucket_region)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The bucket as `gcs://…`."""
        return PrimitiveId(f"gcs://{self.bucket_name}")

    @property
    def bucket_url(self) -> str:
        """The bucket as `gs://…`, which is how Google's tools call it."""
        return f"gs://{self.bucket_name}"

    @property
    def label(self) -> str:
        """The bucket and, if there is one, the path."""
        return f"{self.bucket_name}/{self._folder}" if self._folder else self.bucket_name

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink; the bucket is met by the first push."""
        parts = parts_of(cast("FileFormat", self.file_format), element)
        return BlockingSink(PartWriter(self._store(env), self._folder, parts))

    def vendor_bucket(self, env: Env, *, quota_project: str | None, region: str | None) -> Any:  # noqa: ARG002
        """Google's `storage.Bucket`, as `BucketPrimitive` says; a bucket's name needs no region."""
        with Target("bucket", self.bucket_name, env.stack_said).faults(ROLE):
            client = storage_client(env, self.project_id, quota_project)
            return client.bucket(self.bucket_name)

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the bucket is there, by asking for its properties."""
        store = self._store(env)
        return await looked(
            self,
            lambda: on_thread(lambda: store.look(CHECK_S)),
            load=lambda: on_thread(store.open),
            unseen=LOOK_ROLE,
        )

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """What is in the bucket, one page of names by a prefix, and an object's first rows."""
        return await seen_bucket(
            self,
            "Cloud Storage bucket",
            self._lister(env),
            lambda: on_thread(self._store(env).open),
            asked,
        )

    async def download(self, env: Env, key: str, take: Callable[[bytes], object]) -> None:
        """Hand an object's bytes to `take`, as `Browsable` says."""
        lister = self._lister(env)
        await on_thread(lambda: lister.fetch(key, take))

    def billed(self) -> Billed:
        """Storage and operations."""
        return Billed("gcp:storage/bucket:Bucket")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The bucket; gives `url` and `name`."""
        from pulumi_gcp import storage

        bucket = storage.Bucket(
            self.bucket_name,
            name=self.bucket_name,
            location=self.bucket_region,
            project=self.project_id,
            force_destroy=self.force_destroy,
            opts=site.gcp(self.project_id),
        )
        return {"url": self.bucket_url, "name": bucket.name}

    def cloud_console_url(self) -> str:
        """Where the bucket is in Google's console."""
        return console_url(f"storage/browser/{self.bucket_name}", self.project_id)

    def _store(self, env: Env) -> _Store:
        target = Target("bucket", self.bucket_name, env.stack_said)
        return _Store(lambda: storage_client(env, self.project_id), target)

    def _lister(self, env: Env) -> GCSLister:
        target = Target("bucket", self.bucket_name, env.stack_said)
        return GCSLister(lambda: storage_client(env, self.project_id), target)

    @property
    def _folder(self) -> str:
        return (self.file_path or "").strip("/")


def _wrong(name: str) -> str:
    """What Cloud Storage has against a name, if anything."""
    if not LEGAL_NAME.fullmatch(name) or max(map(len, name.split("."))) > PART_LENGTH:
        return (
            "a name has 3 to 63 small letters, digits, '-', '_' and '.', begins and "
            "ends with a letter or digit, and does not begin with 'goog'"
        )
    if ADDRESS.fullmatch(name):
        return "a name is no IP address; add a letter"
    return "a name has no 'google' in it, nor what looks like it" if TAKEN.search(name) else ""


class _Store:
    """Puts objects into the bucket `target`, through the client that `connect` gives."""

    def __init__(self, connect: Callable[[], Any], target: Target) -> None:
        self._connect = connect
        self._target = target

    def open(self) -> None:
        """Make the client, so that missing credentials are told at once."""
        with self._target.faults(ROLE):
            self._connect()

    def look(self, within_s: float) -> str:
        """Look whether the bucket is there.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us; a `DeniedError` where it may not be looked at.
        """
        with self._target.faults(LOOK_ROLE):
            self._connect().get_bucket(self._target.name, timeout=within_s, retry=None)
        return "is there"

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Put an object there, of a name that is drawn at random; raises as `PartStore.put`."""
        from google.api_core.exceptions import PreconditionFailed
        from google.cloud.storage.retry import DEFAULT_RETRY

        first, longest = DELAYS_S
        retry = DEFAULT_RETRY.with_timeout(RETRY_S).with_delay(first, longest)
        with self._target.faults(ROLE):
            blob = self._connect().bucket(self._target.name).blob(name)
            # One that is there already is ours: an attempt put it there, and its answer was lost.
            with suppress(PreconditionFailed):
                blob.upload_from_string(
                    body,
                    content_type=content_type,
                    if_generation_match=NOT_THERE,
                    checksum="crc32c",
                    timeout=ATTEMPT_S,
                    retry=retry,
                )
