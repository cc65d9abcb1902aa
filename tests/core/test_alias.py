"""BuildFlow's own imports."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(code: str, **words) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=60, check=False, **words,
    )  # fmt: skip


def test_both_names_give_the_same_modules():
    found = run("""
        from buildflow_nb.core.alias import answer_to_buildflow
        answer_to_buildflow()
        answer_to_buildflow()
        import sys
        import buildflow, buildflow.io.aws, buildflow_nb.io.aws
        from buildflow import Flow, FlowOptions, Service, collector, consumer, endpoint
        from buildflow.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
        from buildflow.io.gcp import (
            GCPPubSubSubscription, GCPPubSubTopic, GCSBucket, GCSFileChangeStream,
        )
        from buildflow.io.duckdb import DuckDBTable
        from buildflow.io.local import File, LocalFileChangeStream, Pulse
        from buildflow.types.portable import FileFormat
        assert buildflow.io.aws is buildflow_nb.io.aws
        assert S3Bucket.__module__ == "buildflow_nb.io.aws.s3"
        assert buildflow_nb.io.aws.__spec__.name == "buildflow_nb.io.aws"
        assert sum(type(f).__name__ == "_Finder" for f in sys.meta_path) == 1
        try:
            import buildflow.nothing
        except ModuleNotFoundError as error:
            print(error)
    """)
    assert found.stderr == ""
    assert found.stdout == "No module named 'buildflow.nothing'\n"


def test_a_real_buildflow_wins(tmp_path):
    (tmp_path / "buildflow").mkdir()
    (tmp_path / "buildflow" / "__init__.py").write_text("real = True\n")
    found = run(
        """
        from buildflow_nb.core.alias import answer_to_buildflow
        answer_to_buildflow()
        import buildflow
        print(buildflow.real)
        """,
        cwd=tmp_path,
    )
    assert (found.stdout, found.stderr) == ("True\n", "")


def test_the_extension_brings_it():
    found = run("""
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config
        config = Config()
        config.HistoryManager.enabled = False
        shell = InteractiveShell.instance(config=config)
        shell.run_cell("%load_ext buildflow_nb").raise_error()
        shell.run_cell("from buildflow.io.aws import SQSQueue; print(SQSQueue('x'))").raise_error()
    """)
    assert "SQSQueue(queue_name='x'" in found.stdout
