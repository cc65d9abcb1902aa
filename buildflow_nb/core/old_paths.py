"""Modules that BuildFlow 0.3 had and this package has not, with the names that live on here.

BuildFlow's own samples import from them (`from buildflow.io.gcp.storage import GCSBucket`). Here
each name has one home, so these modules exist only below the name `buildflow`, made by `alias.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ("OLD_PATHS",)

# a module below `buildflow`: the modules below this package where its names are, and the names
OLD_PATHS: Mapping[str, Mapping[str, str]] = {
    "core.app.collector": {"core.declaring.declarations": "Collector collector"},
    "core.app.consumer": {"core.declaring.declarations": "Consumer consumer"},
    "core.app.endpoint": {"core.declaring.declarations": "Endpoint endpoint"},
    "core.app.flow": {"flow": "Flow", "core.options": "FlowOptions"},
    "core.app.flow_state": {
        "core.status.flow_state": "FlowState PrimitiveState ProcessorGroupState ProcessorState"
    },
    "core.app.service": {"core.declaring.declarations": "Service"},
    "core.credentials.aws_credentials": {"core.credentials": "AWSCredentials"},
    "core.credentials.gcp_credentials": {"core.credentials": "GCPCredentials"},
    "core.options.flow_options": {"core.options": "FlowOptions"},
    "io.aws.s3_file_change_stream": {"io.aws": "S3FileChangeStream"},
    "io.clickhouse.clickhouse": {"io.clickhouse": "ClickhouseTable"},
    "io.duckdb.duckdb": {"io.duckdb": "DuckDBTable"},
    "io.endpoint": {"types.method": "Method"},
    "io.gcp.bigquery_dataset": {"io.gcp": "BigQueryDataset"},
    "io.gcp.bigquery_table": {"io.gcp": "BigQueryTable"},
    "io.gcp.cloud_sql_database": {"io.gcp": "CloudSQLDatabase"},
    "io.gcp.cloud_sql_instance": {"io.gcp": "CloudSQLInstance"},
    "io.gcp.cloud_sql_user": {"io.gcp": "CloudSQLUser"},
    "io.gcp.gcs_file_change_stream": {"io.gcp": "GCSFileChangeStream"},
    "io.gcp.pubsub_subscription": {"io.gcp": "GCPPubSubSubscription"},
    "io.gcp.pubsub_topic": {"io.gcp": "GCPPubSubTopic"},
    "io.gcp.storage": {"io.gcp": "GCSBucket"},
    "io.local.file_change_stream": {"io.local": "LocalFileChangeStream"},
    "io.snowflake.snowflake_table": {"io.snowflake": "SnowflakeTable"},
}
