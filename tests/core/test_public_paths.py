"""What users import: every public path, listed here once, with the names that it promises."""

from __future__ import annotations

import importlib

import pytest

PUBLIC = {
    "buildflow_nb": "Flow FlowOptions Service Thresholds collector consumer endpoint",
    "buildflow_nb.core.credentials": "AWSCredentials GCPCredentials Secret",
    "buildflow_nb.core.errors": (
        "BuildFlowError ConfigError ConversionError DeclarationError DeniedError InfraError "
        "PartialPushError PermanentError RejectedError RunError ServeError TemporaryError "
        "UsageError"
    ),
    "buildflow_nb.core.events": "ElementFailed Event Listener StateChanged",
    "buildflow_nb.core.findings": "Finding Health",
    "buildflow_nb.core.options": (
        "CollectorOptions ConsumerOptions EndpointOptions FlowOptions ServiceOptions"
    ),
    "buildflow_nb.core.position": "Position",
    "buildflow_nb.core.primitive": (
        "Batch Checkable Env Malformed Managed Readable Releasing Sink Site Source Wire Writable"
    ),
    "buildflow_nb.exceptions": (
        "CannotConvertSinkException CannotConvertSourceException HTTPException "
        "PathNotFoundException"
    ),
    "buildflow_nb.infra.stop": "Stop",
    "buildflow_nb.io.aws": "AWSBucket S3Bucket S3FileChangeStream SQSQueue",
    "buildflow_nb.io.aws.s3": "AWSBucket S3Bucket S3FileChangeStream",
    "buildflow_nb.io.aws.sqs": "SQSQueue",
    "buildflow_nb.io.blocking": "BlockingSink BlockingSource Reader Writer",
    "buildflow_nb.io.duckdb": "DuckDB DuckDBQuery DuckDBTable",
    "buildflow_nb.io.gcp": (
        "GCPPubSubSubscription GCPPubSubTopic GCSBucket GCSFileChangeStream PubSubSubscription "
        "PubSubTopic"
    ),
    "buildflow_nb.io.gcp.gcs": "GCSBucket GCSFileChangeStream",
    "buildflow_nb.io.gcp.pubsub": (
        "GCPPubSubSubscription GCPPubSubTopic PubSubSubscription PubSubTopic"
    ),
    "buildflow_nb.io.local": "Empty File LocalFileChangeStream Pulse",
    "buildflow_nb.io.local.empty": "Empty",
    "buildflow_nb.io.local.file": "File",
    "buildflow_nb.io.local.file_changes": "LocalFileChangeStream",
    "buildflow_nb.io.local.pulse": "Pulse",
    "buildflow_nb.io.local.testing.pulse_with_backlog": "PulseWithBacklog",
    "buildflow_nb.notebook.autoload": "load_ipython_extension",
    "buildflow_nb.types.aws": "S3ChangeStreamEventType S3FileChangeEvent",
    "buildflow_nb.types.gcp": (
        "GCSChangeStreamEventType GCSFileChangeEvent MessageBytes PubsubMessage"
    ),
    "buildflow_nb.types.local": "FileChangeStreamEventType LocalFileChangeEvent",
    "buildflow_nb.types.portable": "FileChangeEvent FileFormat PortableFileChangeEventType",
}


@pytest.mark.parametrize(("path", "names"), PUBLIC.items(), ids=PUBLIC)
def test_a_public_path_keeps_its_names(path, names):
    module = importlib.import_module(path)
    assert [name for name in names.split() if not hasattr(module, name)] == []
