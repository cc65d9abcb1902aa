"""The public names of BuildFlow 0.3.1, by every module that has them, and members of classes.

Fields count as members, and so does what a class inherits.
"""

from __future__ import annotations

MODULES = {
    "buildflow": "Flow Service FlowOptions collector consumer endpoint __version__",
    "buildflow.config.buildflow_config": "BuildFlowConfig",
    "buildflow.config.cloud_provider_config": (
        "AWSOptions AzureOptions CloudProvider CloudProviderConfig GCPOptions LocalOptions"
    ),
    "buildflow.config.pulumi_config": "PulumiConfig PulumiStack removeprefix",
    "buildflow.core.app.collector": "Collector collector",
    "buildflow.core.app.consumer": "Consumer consumer",
    "buildflow.core.app.endpoint": "Endpoint endpoint",
    "buildflow.core.app.flow": "Flow FlowOptions",
    "buildflow.core.app.flow_state": (
        "CollectorGroupState CollectorState ConsumerGroupState ConsumerState EndpointState "
        "FlowState PrimitiveState ProcessorGroupState ProcessorState ServiceState"
    ),
    "buildflow.core.app.service": "Service",
    "buildflow.core.background_tasks.background_task": "BackgroundTask",
    "buildflow.core.credentials": "AWSCredentials GCPCredentials EmptyCredentials CredentialType",
    "buildflow.core.credentials.aws_credentials": "AWSCredentials",
    "buildflow.core.credentials.empty_credentials": "EmptyCredentials",
    "buildflow.core.credentials.gcp_credentials": "GCPCredentials",
    "buildflow.core.options": (
        "Options FlowOptions InfraOptions PulumiOptions AutoscalerOptions ProcessorOptions "
        "RuntimeOptions"
    ),
    "buildflow.core.options.credentials_options": (
        "GCPCredentialsOptions AWSCredentialsOptions CredentialsOptions"
    ),
    "buildflow.core.options.flow_options": "FlowOptions",
    "buildflow.core.options.infra_options": "InfraOptions PulumiOptions",
    "buildflow.core.options.runtime_options": "AutoscalerOptions ProcessorOptions RuntimeOptions",
    "buildflow.io.aws": "S3Bucket S3FileChangeStream SQSQueue AWSBucket",
    "buildflow.io.aws.s3": "S3Bucket",
    "buildflow.io.aws.s3_file_change_stream": "S3FileChangeStream",
    "buildflow.io.aws.sqs": "SQSQueue",
    "buildflow.io.clickhouse": "ClickhouseTable",
    "buildflow.io.clickhouse.clickhouse": "ClickhouseTable",
    "buildflow.io.duckdb": "DuckDBTable DuckDB",
    "buildflow.io.duckdb.duckdb": "DuckDBTable",
    "buildflow.io.endpoint": "Method RouteInfo",
    "buildflow.io.gcp": (
        "BigQueryDataset BigQueryTable CloudSQLDatabase CloudSQLInstance CloudSQLUser "
        "GCSFileChangeStream GCPPubSubSubscription GCPPubSubTopic GCSBucket"
    ),
    "buildflow.io.gcp.bigquery": "BigQueryTable",
    "buildflow.io.gcp.bigquery_dataset": "BigQueryDataset",
    "buildflow.io.gcp.bigquery_table": "BigQueryTable",
    "buildflow.io.gcp.cloud_sql_database": "CloudSQLDatabase",
    "buildflow.io.gcp.cloud_sql_instance": "CloudSQLInstance",
    "buildflow.io.gcp.cloud_sql_user": "CloudSQLUser",
    "buildflow.io.gcp.gcs_file_change_stream": "GCSFileChangeStream",
    "buildflow.io.gcp.pubsub": "GCPPubSubSubscription GCPPubSubTopic",
    "buildflow.io.gcp.pubsub_subscription": "GCPPubSubSubscription",
    "buildflow.io.gcp.pubsub_topic": "GCPPubSubTopic",
    "buildflow.io.gcp.storage": "GCSBucket",
    "buildflow.io.local": "File LocalFileChangeStream Pulse",
    "buildflow.io.local.empty": "Empty",
    "buildflow.io.local.file": "File",
    "buildflow.io.local.file_change_stream": "LocalFileChangeStream",
    "buildflow.io.local.pulse": "Pulse",
    "buildflow.io.local.testing.pulse_with_backlog": "PulseWithBacklog",
    "buildflow.io.portable": "Bucket Queue AnalysisTable Topic",
    "buildflow.io.portable.bucket": "Bucket",
    "buildflow.io.portable.file_change_stream": "FileChangeStream",
    "buildflow.io.portable.queue": "Queue",
    "buildflow.io.portable.table": "AnalysisTable RelationalTable",
    "buildflow.io.portable.topic": "Topic",
    "buildflow.io.primitive": (
        "Primitive GCPPrimtive AWSPrimtive LocalPrimtive PortablePrimtive AzurePrimtive "
        "PrimitiveDependency PrimitiveType"
    ),
    "buildflow.io.snowflake": "SnowflakeTable read_private_key_file read_private_key_file_bytes",
    "buildflow.io.snowflake.snowflake_table": "SnowflakeTable",
    "buildflow.io.strategies.source": "AckInfo PullResponse SourceStrategy",
    "buildflow.io.strategies.sink": "Batch SinkStrategy",
    "buildflow.dependencies": "Scope dependency",
    "buildflow.dependencies.auth": (
        "GoogleUser AuthenticatedGoogleUserDepBuilder BearerCredentials"
    ),
    "buildflow.dependencies.base": (
        "Dependency DependencyWrapper GlobalScoped NoScoped ProcessScoped ReplicaScoped Scope "
        "dependency dependency_wrappers initialize_dependencies resolve_dependencies"
    ),
    "buildflow.dependencies.bucket": "BucketDependencyBuilder",
    "buildflow.dependencies.flow_dependencies": "FlowCredentials",
    "buildflow.dependencies.headers": (
        "BearerCredentials OpenAPISecurityWrapper SecurityHeader parse_credentials "
        "security_dependencies"
    ),
    "buildflow.dependencies.sink": "SinkDependencyBuilder",
    "buildflow.dependencies.sqlalchemy": (
        "SessionDepBuilder AsyncSessionDepBuilder engine async_engine"
    ),
    "buildflow.exceptions": (
        "HTTPException CannotConvertSourceException CannotConvertSinkException "
        "PathNotFoundException InvalidDependencyHierarchyOrder"
    ),
    "buildflow.middleware": (
        "CORSMiddleware HTTPSRedirectMiddleware SessionMiddleware GZipMiddleware "
        "TrustedHostMiddleware"
    ),
    "buildflow.requests": "File Form UploadFile WebSocket Request Header Cookie Query Path Body",
    "buildflow.responses": (
        "FileResponse HTMLResponse JSONResponse PlainTextResponse RedirectResponse Response "
        "StreamingResponse EventSourceResponse"
    ),
    "buildflow.types.aws": "S3ChangeStreamEventType S3FileChangeEvent",
    "buildflow.types.gcp": (
        "CloudSQLInstanceSettings CloudSQLDatabaseVersion GCSChangeStreamEventType "
        "GCSFileChangeEvent PubsubMessage"
    ),
    "buildflow.types.local": "FileChangeStreamEventType LocalFileChangeEvent",
    "buildflow.types.portable": "FileFormat FileChangeEvent PortableFileChangeEventType",
}

_EVENT = "file_path event_type metadata blob"
_CONNECTION = "url headers query_params path_params cookies client state"
_PRIMITIVE = (
    "primitive_id enable_managed options pulumi_resources_if_managed pulumi_resources "
    "background_tasks dependency cloud_console_url"
)
PRIMITIVES = {
    "buildflow.io.aws.S3Bucket": (
        "bucket_name file_path file_format aws_region force_destroy bucket_url from_aws_options "
        "sink"
    ),
    "buildflow.io.aws.S3FileChangeStream": (
        "s3_bucket event_types filter_test_events sqs_queue from_aws_options source"
    ),
    "buildflow.io.aws.SQSQueue": (
        "queue_name aws_account_id aws_region from_aws_options source sink"
    ),
    "buildflow.io.clickhouse.ClickhouseTable": (
        "database table schema host username password from_local_options sink"
    ),
    "buildflow.io.duckdb.DuckDBTable": "database table from_local_options sink",
    "buildflow.io.gcp.BigQueryDataset": "project_id dataset_name",
    "buildflow.io.gcp.BigQueryTable": (
        "dataset table_name batch_size destroy_protection schema table_id from_gcp_options sink"
    ),
    "buildflow.io.gcp.CloudSQLDatabase": "database_name instance",
    "buildflow.io.gcp.CloudSQLInstance": (
        "instance_name project_id database_version settings region"
    ),
    "buildflow.io.gcp.CloudSQLUser": "user_name password instance",
    "buildflow.io.gcp.GCPPubSubSubscription": (
        "project_id subscription_name batch_size include_attributes ack_deadline_seconds "
        "message_retention_duration topic enable_exactly_once_delivery from_gcp_options source"
    ),
    "buildflow.io.gcp.GCPPubSubTopic": "project_id topic_name topic_id from_gcp_options sink",
    "buildflow.io.gcp.GCSBucket": (
        "project_id bucket_name file_path file_format force_destroy bucket_region bucket_url "
        "from_gcp_options sink"
    ),
    "buildflow.io.gcp.GCSFileChangeStream": (
        "gcs_bucket event_types pubsub_subscription pubsub_topic from_gcp_options source"
    ),
    "buildflow.io.local.File": "file_path file_format from_local_options sink",
    "buildflow.io.local.LocalFileChangeStream": "file_path event_types from_local_options source",
    "buildflow.io.local.Pulse": "items pulse_interval_seconds from_local_options source",
    "buildflow.io.local.empty.Empty": "from_local_options sink",
    "buildflow.io.local.testing.pulse_with_backlog.PulseWithBacklog": (
        "items pulse_interval_seconds backlog_size source"
    ),
    "buildflow.io.portable.AnalysisTable": "table_name to_cloud_primitive",
    "buildflow.io.portable.Bucket": "bucket_name to_cloud_primitive",
    "buildflow.io.portable.Queue": "queue_id to_cloud_primitive",
    "buildflow.io.portable.Topic": "topic_id to_cloud_primitive",
    "buildflow.io.portable.file_change_stream.FileChangeStream": (
        "file_path event_types to_cloud_primitive"
    ),
    "buildflow.io.portable.table.RelationalTable": "table_name to_cloud_primitive",
    "buildflow.io.snowflake.SnowflakeTable": (
        "table database schema bucket account user private_key snow_pipe snowflake_stage "
        "flush_time_limit_secs database_managed schema_managed snow_pipe_managed stage_managed "
        "table_schema sink"
    ),
}
MEMBERS = {
    "buildflow.Flow": (
        "manage consumer add_consumer add_collector collector service add_service run refresh "
        "preview apply destroy flowstate _drain"
    ),
    "buildflow.FlowOptions": (
        "runtime_log_level gcp_service_account_info aws_access_key_id aws_secret_access_key "
        "aws_session_token schema_validation require_confirmation infra_log_level stack "
        "enable_destroy_protection refresh_state default"
    ),
    "buildflow.Service": (
        "base_route num_cpus max_concurrent_queries enable_autoscaler num_replicas min_replics "
        "max_replicas target_num_ongoing_requests_per_replica log_level service_id endpoints "
        "middleware autoscale_options endpoint add_endpoint add_middleware"
    ),
    "buildflow.core.app.flow_state.FlowState": (
        "flow_id stack primitive_states processor_group_states python_version ray_version "
        "buildflow_version to_dict"
    ),
    "buildflow.core.app.flow_state.PrimitiveState": (
        "primitive_id primitive_name primitive_type managed primitive_dependencies resource_url "
        "to_dict from_primitive"
    ),
    "buildflow.core.app.flow_state.ProcessorGroupState": (
        "processor_group_id processor_group_type processor_states group_info to_dict"
    ),
    "buildflow.core.app.flow_state.ProcessorState": (
        "processor_id processor_type processor_info primitive_dependencies to_dict"
    ),
    "buildflow.core.credentials.GCPCredentials": "service_account_info get_creds",
    "buildflow.core.credentials.AWSCredentials": "access_key_id secret_access_key session_token",
    "buildflow.core.options.Options": "default",
    "buildflow.dependencies.auth.GoogleUser": "google_account_id email email_verified name",
    "buildflow.dependencies.base.Dependency": "initialize resolve",
    "buildflow.dependencies.flow_dependencies.FlowCredentials": "gcp_credentials aws_credentials",
    "buildflow.dependencies.headers.SecurityHeader": "service_auth_info endpoint_auth_info",
    "buildflow.io.endpoint.Method": "GET POST WEBSOCKET",
    "buildflow.requests.Request": (
        "url base_url method headers query_params path_params cookies client state session body "
        "json form stream is_disconnected"
    ),
    "buildflow.requests.UploadFile": "content_type read write seek close",
    "buildflow.requests.WebSocket": (
        f"{_CONNECTION} accept close receive receive_text receive_bytes receive_json iter_text "
        "iter_bytes iter_json send send_text send_bytes send_json"
    ),
    **{
        f"buildflow.responses.{name}": "set_cookie delete_cookie headers charset"
        for name in (
            "Response",
            "FileResponse",
            "HTMLResponse",
            "JSONResponse",
            "PlainTextResponse",
            "RedirectResponse",
            "StreamingResponse",
        )
    },
    "buildflow.types.aws.S3ChangeStreamEventType": (
        "OBJECT_CREATED_ALL OBJECT_CREATED_PUT OBJECT_CREATED_POST OBJECT_CREATED_COPY "
        "OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD OBJECT_REMOVED_ALL OBJECT_REMOVED_DELETE "
        "OBJECT_REMOVED_DELETE_MARKER_CREATED UNKNOWN create_event_types delete_event_types "
        "from_portable_type to_portable_type"
    ),
    "buildflow.types.aws.S3FileChangeEvent": f"{_EVENT} bucket_name s3_client",
    "buildflow.types.gcp.GCSChangeStreamEventType": (
        "OBJECT_FINALIZE OBJECT_DELETE OBJECT_ARCHIVE OBJECT_METADATA_UPDATE from_portable_type"
    ),
    "buildflow.types.gcp.GCSFileChangeEvent": f"{_EVENT} storage_client",
    "buildflow.types.gcp.PubsubMessage": "data attributes ack_id",
    "buildflow.types.local.FileChangeStreamEventType": (
        "CREATED DELETED MODIFIED from_portable_type"
    ),
    "buildflow.types.local.LocalFileChangeEvent": _EVENT,
    "buildflow.types.portable.FileChangeEvent": _EVENT,
    "buildflow.types.portable.FileFormat": "PARQUET CSV JSON",
    "buildflow.types.portable.PortableFileChangeEventType": "CREATED DELETED UNKNOWN",
    **{primitive: f"{_PRIMITIVE} {own}" for primitive, own in PRIMITIVES.items()},
}
