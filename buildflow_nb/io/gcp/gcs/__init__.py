"""Cloud Storage: buckets to write to, and what happens to their objects."""

from buildflow_nb.io.gcp.gcs.bucket import GCSBucket
from buildflow_nb.io.gcp.gcs.changes import GCSFileChangeStream

__all__ = ("GCSBucket", "GCSFileChangeStream")
