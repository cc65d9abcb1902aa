"""`aws:s3/bucket:Bucket`: a bucket of S3, with its tags.

Its id is its name. It is deleted only when it is empty, or when `forceDestroy` was applied before;
then all versions of all objects go first, page by page, until `EMPTYING_S` is over.

Source: Amazon S3 User Guide, "General purpose bucket naming rules"; Amazon S3 API reference,
CreateBucket, DeleteObjects.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.aws.cloud import (
    REGION,
    AWSCloud,
    code_of,
    is_gone,
    tag_properties,
    wanted_tags,
)
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import IncompleteError, Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("Bucket",)

EMPTYING_S = 120.0  # some 100 000 objects; a writer that goes on for longer would make it endless
NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
RESERVED = re.compile(
    r"(?:xn--|sthree-|amzn-s3-demo-).*|.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)"
)


class Bucket(Resource[AWSCloud]):
    """A bucket of S3."""

    service = "s3"
    schema: ClassVar[Schema] = Schema(
        "aws:s3/bucket:Bucket",
        inputs={
            "bucket": Input(replaces=True, computed=True),
            "bucketPrefix": Input(replaces=True),
            "forceDestroy": Input(Kind.FLAG, default=False),
            "region": Input(replaces=True, computed=True),
            "tags": Input(Kind.TABLE),
        },
        outputs={
            "arn": (),
            "bucketDomainName": (),
            "bucketRegion": (),
            "bucketRegionalDomainName": (),
            "tagsAll": ("tags",),
        },
        name=AutoName("bucket", 63, prefix="bucketPrefix", lower=True),
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that S3 would reject."""
        name = inputs.text("bucket")
        if name is not None and not _is_name(name):
            reason = (
                f"bucket name {name!r}: S3 takes 3 to 63 lower-case letters, digits, dots and "
                "dashes, beginning and ending with a letter or digit, no two dots in a row, no IP "
                "address and no reserved beginning or end"
            )
            yield Failure("bucket", reason)

    def create(self, cloud: AWSCloud, inputs: Properties) -> str:
        """Make the bucket, then tag it.

        Raises:
            InfraError: there is one of that name.
            IncompleteError: it could not be tagged.
        """
        name = inputs.must("bucket")
        region = inputs.text("region") or cloud.region
        s3 = cloud.s3(region)
        if _region(s3, name) is not None:  # us-east-1 would give it as if it had been made
            msg = f"bucket {name!r} exists already; choose another name, or import it by its name"
            raise InfraError(msg)
        # S3 rejects a constraint that names us-east-1, its home.
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **(where if region != REGION else {}))
        try:
            _tag(s3, name, wanted_tags(cloud, inputs))
        except (ClientError, BotoCoreError) as error:
            raise IncompleteError(str(error), name) from error
        return name

    def read(
        self, cloud: AWSCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the bucket's region and tags."""
        s3 = cloud.s3(known.text("region"))
        region = _region(s3, resource_id)
        if region is None:
            return None
        return {
            "bucket": resource_id,
            "region": region,
            "bucketRegion": region,
            "arn": f"arn:aws:s3:::{resource_id}",
            "bucketDomainName": f"{resource_id}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{resource_id}.s3.{region}.amazonaws.com",
            **tag_properties(cloud, known, _tags(s3, resource_id)),
        }

    def update(self, cloud: AWSCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Tag the bucket; `forceDestroy` is a matter of the state alone."""
        del olds
        _tag(cloud.s3(news.text("region")), resource_id, wanted_tags(cloud, news))

    def delete(self, cloud: AWSCloud, resource_id: str, known: Properties) -> None:
        """Delete the bucket, with all that is in it if `forceDestroy` says so."""
        s3 = cloud.s3(known.text("region"))
        try:
            if known.flag("forceDestroy"):
                _empty(s3, resource_id)
            s3.delete_bucket(Bucket=resource_id)
        except ClientError as error:
            if code_of(error) == "BucketNotEmpty":
                mend = "or apply it with .options(force_destroy=True) first"
                msg = f"{error}; delete its objects, {mend}"
                raise InfraError(msg) from error
            if not is_gone(error):
                raise


def _is_name(name: str) -> bool:
    if NAME.fullmatch(name) is None or ".." in name or RESERVED.fullmatch(name):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _region(s3: Any, name: str) -> str | None:
    """Where a bucket is, or `None` where there is none."""
    try:
        where = s3.get_bucket_location(Bucket=name)["LocationConstraint"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return str(where or REGION)


def _tags(s3: Any, name: str) -> dict[str, str]:
    try:
        tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as error:
        if code_of(error) != "NoSuchTagSet":
            raise
        return {}
    return {tag["Key"]: tag["Value"] for tag in tags}


def _tag(s3: Any, name: str, tags: Mapping[str, str]) -> None:
    if tags == _tags(s3, name):
        return
    if tags:
        listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": listed})
    else:
        s3.delete_bucket_tagging(Bucket=name)


def _empty(s3: Any, name: str) -> None:
    """Delete all objects, with all their versions."""
    end = time.monotonic() + EMPTYING_S
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if versions:
            listed = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
            s3.delete_objects(Bucket=name, Delete={"Objects": listed, "Quiet": True})
        if time.monotonic() > end:
            msg = f"bucket {name!r} is not empty after {EMPTYING_S:g} s; stop its writers and retry"
            raise InfraError(msg)
