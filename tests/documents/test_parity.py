"""Each public name of BuildFlow 0.3 resolves, or docs/buildflow-parity.md has a stand-in for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "buildflow-parity.md"
SURFACE = {
    "buildflow": "Flow Service FlowOptions collector consumer endpoint __version__",
    "buildflow.io.aws": "S3Bucket S3FileChangeStream SQSQueue AWSBucket",
    "buildflow.io.gcp": (
        "BigQueryDataset BigQueryTable CloudSQLDatabase CloudSQLInstance CloudSQLUser "
        "GCSFileChangeStream GCPPubSubSubscription GCPPubSubTopic GCSBucket"
    ),
    "buildflow.io.local": "File LocalFileChangeStream Pulse",
    "buildflow.io.local.empty": "Empty",
    "buildflow.io.local.testing.pulse_with_backlog": "PulseWithBacklog",
    "buildflow.io.duckdb": "DuckDBTable DuckDB",
    "buildflow.io.clickhouse": "ClickhouseTable",
    "buildflow.io.snowflake": "SnowflakeTable read_private_key_file read_private_key_file_bytes",
    "buildflow.io.portable": "Bucket Queue AnalysisTable Topic",
    "buildflow.io.portable.file_change_stream": "FileChangeStream",
    "buildflow.io.portable.table": "RelationalTable",
    "buildflow.dependencies": "Scope dependency",
    "buildflow.dependencies.auth": (
        "GoogleUser AuthenticatedGoogleUserDepBuilder BearerCredentials"
    ),
    "buildflow.dependencies.headers": "BearerCredentials SecurityHeader",
    "buildflow.dependencies.bucket": "BucketDependencyBuilder",
    "buildflow.dependencies.sink": "SinkDependencyBuilder",
    "buildflow.dependencies.sqlalchemy": (
        "SessionDepBuilder AsyncSessionDepBuilder engine async_engine"
    ),
    "buildflow.dependencies.flow_dependencies": "FlowCredentials",
    "buildflow.requests": "File Form UploadFile WebSocket Request",
    "buildflow.responses": (
        "FileResponse HTMLResponse JSONResponse PlainTextResponse RedirectResponse Response "
        "StreamingResponse"
    ),
    "buildflow.middleware": "CORSMiddleware HTTPSRedirectMiddleware SessionMiddleware",
    "buildflow.exceptions": (
        "HTTPException CannotConvertSourceException CannotConvertSinkException "
        "PathNotFoundException InvalidDependencyHierarchyOrder"
    ),
    "buildflow.types.portable": "FileFormat FileChangeEvent PortableFileChangeEventType",
    "buildflow.types.local": "FileChangeStreamEventType LocalFileChangeEvent",
    "buildflow.types.aws": "S3ChangeStreamEventType S3FileChangeEvent",
    "buildflow.types.gcp": (
        "CloudSQLInstanceSettings CloudSQLDatabaseVersion GCSChangeStreamEventType "
        "GCSFileChangeEvent PubsubMessage"
    ),
    "buildflow.core.options": (
        "Options FlowOptions InfraOptions PulumiOptions AutoscalerOptions ProcessorOptions "
        "RuntimeOptions"
    ),
    "buildflow.core.options.credentials_options": (
        "GCPCredentialsOptions AWSCredentialsOptions CredentialsOptions"
    ),
    "buildflow.core.credentials": "AWSCredentials GCPCredentials EmptyCredentials CredentialType",
    "buildflow.io.primitive": (
        "Primitive GCPPrimtive AWSPrimtive LocalPrimtive PortablePrimtive AzurePrimtive"
    ),
    "buildflow.io.strategies.source": "AckInfo PullResponse SourceStrategy",
    "buildflow.io.strategies.sink": "Batch SinkStrategy",
}
PROBE = """
import importlib, json, sys
from buildflow_nb.core.alias import answer_to_buildflow

answer_to_buildflow()
found = {}
for module, names in json.load(sys.stdin).items():
    try:
        there = importlib.import_module(module)
    except ModuleNotFoundError:
        there = None
    found[module] = [name for name in names.split() if hasattr(there, name)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def resolved() -> set[tuple[str, str]]:
    told = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(SURFACE),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {(module, name) for module, names in json.loads(told.stdout).items() for name in names}


def rows(heading: str) -> set[tuple[str, str]]:
    """The module and name of every row of a table."""
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    found: set[tuple[str, str]] = set()
    for line in text.splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")]
        if len(cells) > 3 and cells[1]:
            modules, names = cells[1], cells[2]
            if len(modules) == 1:
                modules *= len(names)
            found |= set(zip(modules, names, strict=True))
    return found


EVERY = {(module, name) for module, names in SURFACE.items() for name in names.split()}


def test_each_name_resolves_or_is_listed_with_what_stands_for_it(resolved):
    assert resolved
    assert rows("What resolves") == resolved
    assert rows("What is missing") == EVERY - resolved


def test_each_missing_name_has_something_that_stands_for_it():
    text = PAGE.read_text().partition("## What is missing")[2].partition("## ")[0]
    told = [line.split("|")[3].strip() for line in text.splitlines() if line.startswith("| `")]
    assert told
    assert all(len(words) > 5 for words in told)
