"""Primitives of AWS."""

from buildflow_nb.io.aws.s3 import AWSBucket, S3Bucket
from buildflow_nb.io.aws.sqs import SQSQueue

__all__ = ("AWSBucket", "S3Bucket", "SQSQueue")
