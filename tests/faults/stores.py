"""Where elements go, and how they are read back: by readers that are none of ours."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from buildflow_nb.core.primitive import Writable
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File

__all__ = ("SINKS", "found_in", "sink_of")

SINKS = ("jsonl", "csv", "parquet", "duckdb", "keyed")


def sink_of(kind: str, folder: Path) -> Writable:
    """A sink of this kind in a folder."""
    if kind in ("duckdb", "keyed"):
        return DuckDBTable(folder / "out.duckdb", "out", key="n" if kind == "keyed" else None)
    return File(folder / f"out.{kind}")


def found_in(kind: str, folder: Path) -> list[int]:
    """The numbers of the elements that are there."""
    path = folder / f"out.{'duckdb' if kind == 'keyed' else kind}"
    return _READERS[kind](path) if path.exists() else []


def _jsonl(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def _csv(path: Path) -> list[int]:
    with path.open(newline="") as file:
        return [int(row["n"]) for row in csv.DictReader(file)]


def _parquet(path: Path) -> list[int]:
    if not any(path.glob("*.parquet")):
        return []
    return [int(n) for n in pq.read_table(path)["n"].to_pylist()]


def _duckdb(path: Path) -> list[int]:
    with duckdb.connect(str(path), read_only=True) as connection:
        try:
            return [row[0] for row in connection.execute("SELECT n FROM out").fetchall()]
        except duckdb.CatalogException:
            return []


_READERS: dict[str, Callable[[Path], list[int]]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "duckdb": _duckdb,
    "keyed": _duckdb,
}
