"""Primitives that a stack makes its own of: the same declarations on AWS, Google Cloud and here."""

from buildflow_nb.io.portable.bucket import Bucket
from buildflow_nb.io.portable.file_change_stream import FileChangeStream
from buildflow_nb.io.portable.queue import Queue
from buildflow_nb.io.portable.table import AnalysisTable, RelationalTable
from buildflow_nb.io.portable.topic import Topic

__all__ = ("AnalysisTable", "Bucket", "FileChangeStream", "Queue", "RelationalTable", "Topic")
