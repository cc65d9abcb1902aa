"""S3: buckets to write to, and what happens to their objects."""

from buildflow_nb.io.aws.s3.bucket import AWSBucket, S3Bucket
from buildflow_nb.io.aws.s3.changes import S3FileChangeStream

__all__ = ("AWSBucket", "S3Bucket", "S3FileChangeStream")
