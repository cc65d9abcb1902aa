"""A bucket as the vendor's SDK has it, on the stack's cloud and with the stack's credentials.

The dependency is made anew for whoever asks (`NO_SCOPE`), since the objects of boto3 must not be
shared by threads; the client behind them may, and is.
"""

from typing import Any

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env, label_of
from buildflow_nb.core.primitive_clients import BucketPrimitive
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.dependencies.daemon_thread import in_thread

__all__ = ("BucketDependencyBuilder",)


def BucketDependencyBuilder(  # noqa: N802  (BuildFlow's name)
    bucket_primitive: object,
    gcp_quota_project_id: str | None = None,
    aws_region: str | None = None,
) -> Any:
    """Make a dependency whose `.bucket` is the vendor's own object.

    That is a `google.cloud.storage.Bucket`, or the resource `s3.Bucket` of boto3. The quota project
    is Google's, the region Amazon's; each is left alone by the other.

    Raises:
        DeclarationError: it is no bucket.
    """
    if isinstance(bucket_primitive, type) or not isinstance(bucket_primitive, BucketPrimitive):
        what = getattr(bucket_primitive, "__name__", None) or label_of(bucket_primitive)
        msg = f"BucketDependencyBuilder takes a bucket, as S3Bucket(...) or GCSBucket(...): {what}"
        raise DeclarationError(msg)
    primitive = bucket_primitive
    met: list[Env] = []  # the last one whose client is made

    def bucket_of(env: Env) -> Any:
        return primitive.vendor_bucket(env, quota_project=gcp_quota_project_id, region=aws_region)

    @dependency(Scope.NO_SCOPE)
    class BucketDependency:
        """`.bucket` is the vendor's own object."""

        __buildflow_primitive__ = primitive
        bucket: Any

        async def __init__(self, env: Env) -> None:  # type: ignore[misc]  # it is awaited
            if met and met[0] is env:
                self.bucket = bucket_of(env)
            else:
                self.bucket = await in_thread(lambda: bucket_of(env), "bucket")
                met[:] = [env]

    return BucketDependency
