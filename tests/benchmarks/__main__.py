"""`make bench`: every benchmark, one after the other; prints both sides and their ratio."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "memory",
    "history",
    "traces",
    "dependencies",
    "flights",
    "http",
    "logs",
    "panel",
    "operations",
    "sqs",
    "pubsub",
    "postgres",
    "bigquery",
    "clickhouse",
    "snowflake",
    "cli",
    "export",
    "autoscale",
)


def main() -> int:
    """Run each benchmark in a process of its own; gives the exit code."""
    codes = [
        subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode
        for name in BENCHMARKS
    ]
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
