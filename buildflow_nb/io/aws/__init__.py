"""Primitives of AWS."""

from buildflow_nb.io.aws.s3.bucket import AWSBucket, S3Bucket
from buildflow_nb.io.aws.s3.changes import S3FileChangeStream
from buildflow_nb.io.aws.sqs.queue import SQSQueue

__all__ = ("AWSBucket", "S3Bucket", "S3FileChangeStream", "SQSQueue")
