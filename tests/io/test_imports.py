"""What importing primitives costs, and what it offers."""

import importlib
import subprocess
import sys

import pytest

HEAVY = (
    *("duckdb", "pyarrow", "watchfiles", "pydantic", "pandas", "numpy"),
    *("boto3", "botocore", "google.cloud", "grpc", "pulumi"),
    *("asyncpg", "psycopg", "sqlalchemy"),
)
MODULES = (
    "buildflow_nb.io",
    "buildflow_nb.io.aws",
    "buildflow_nb.io.blocking",
    "buildflow_nb.io.duckdb",
    "buildflow_nb.io.gcp",
    "buildflow_nb.io.local",
    "buildflow_nb.io.local.empty",
    "buildflow_nb.io.local.file",
    "buildflow_nb.io.local.file_changes",
    "buildflow_nb.io.local.pulse",
    "buildflow_nb.io.local.testing",
    "buildflow_nb.io.local.testing.pulse_with_backlog",
    "buildflow_nb.io.postgres",
    "buildflow_nb.types.aws",
    "buildflow_nb.types.local",
    "buildflow_nb.types.portable",
    "buildflow_nb.types.postgres",
)


def test_importing_primitives_loads_nothing_heavy():
    code = f"import sys, {', '.join(MODULES)}; print(*set(sys.modules) & set({HEAVY}))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.split() == []


@pytest.mark.parametrize("name", MODULES)
def test_all_names_exist(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def test_names_of_buildflow():
    from buildflow_nb.io.duckdb import DuckDB, DuckDBTable
    from buildflow_nb.io.local import Empty, File, LocalFileChangeStream, Pulse
    from buildflow_nb.io.local import empty as module

    assert DuckDB is DuckDBTable
    assert module.Empty is Empty
    assert all(callable(kind) for kind in (File, LocalFileChangeStream, Pulse))
