"""Primitives of AWS."""

from buildflow_nb.io.aws.s3 import AWSBucket, S3Bucket
from buildflow_nb.io.aws.s3_changes import S3FileChangeStream
from buildflow_nb.io.aws.sqs import SQSQueue

__all__ = ("AWSBucket", "S3Bucket", "S3FileChangeStream", "SQSQueue")
