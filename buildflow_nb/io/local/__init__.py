"""Primitives of this machine: files, folders and things for trying a flow out."""

from buildflow_nb.io.local.empty import Empty
from buildflow_nb.io.local.file import File
from buildflow_nb.io.local.file_changes import LocalFileChangeStream
from buildflow_nb.io.local.pulse import Pulse

__all__ = ("Empty", "File", "LocalFileChangeStream", "Pulse")
