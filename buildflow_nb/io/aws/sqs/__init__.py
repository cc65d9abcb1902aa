"""SQS: queues, to read from and to write to."""

from buildflow_nb.io.aws.sqs.queue import SQSQueue

__all__ = ("SQSQueue",)
