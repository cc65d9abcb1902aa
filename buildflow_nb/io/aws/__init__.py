"""Primitives of AWS."""

from buildflow_nb.io.aws.sqs import SQSQueue

__all__ = ("SQSQueue",)
