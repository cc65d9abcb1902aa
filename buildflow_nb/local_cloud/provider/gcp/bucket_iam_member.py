"""`gcp:storage/bucketIAMMember:BucketIAMMember`: a member of a role in a bucket's policy."""

from __future__ import annotations

from typing import ClassVar

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.gcp.iam_member import MEMBER_INPUTS, IAMMember, Policy
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = ("BucketIAMMember",)


class BucketIAMMember(IAMMember):
    """A member of a role of a bucket; its parent is `b/{bucket}`."""

    service = "storage"
    schema: ClassVar[Schema] = Schema(
        "gcp:storage/bucketIAMMember:BucketIAMMember",
        inputs={"bucket": Input(required=True, replaces=True), **MEMBER_INPUTS},
        outputs={"etag": ()},
    )

    def parent(self, cloud: GCPCloud, inputs: Properties) -> str:
        """The bucket."""
        del cloud
        return f"b/{inputs.must('bucket').removeprefix('b/')}"

    def parent_properties(self, parent: str) -> dict[str, Plain]:
        """The bucket's name."""
        return {"bucket": parent.removeprefix("b/")}

    def get_policy(self, cloud: GCPCloud, parent: str) -> Policy | None:
        """Read the bucket's policy."""
        bucket = parent.removeprefix("b/")
        return cloud.storage.get("b", bucket, "iam", optionsRequestedPolicyVersion="3")

    def set_policy(self, cloud: GCPCloud, parent: str, policy: Policy) -> None:
        """Write the bucket's policy."""
        cloud.storage.call("PUT", "b", parent.removeprefix("b/"), "iam", body=policy)
