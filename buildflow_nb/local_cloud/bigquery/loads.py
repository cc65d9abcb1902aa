"""Load jobs: JSON lines, CSV and Parquet, uploaded or from Cloud Storage, into a table.

All rows of a job are there afterwards, or none. What is read is streamed, batch by batch.

Source: BigQuery REST reference, "JobConfigurationLoad".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from buildflow_nb.local_cloud.bigquery.catalog import Catalog
from buildflow_nb.local_cloud.bigquery.cells import parse_record
from buildflow_nb.local_cloud.bigquery.dispositions import Destination
from buildflow_nb.local_cloud.bigquery.refusal import invalid, not_served
from buildflow_nb.local_cloud.bigquery.rows import records_table
from buildflow_nb.local_cloud.bigquery.state import Database
from buildflow_nb.local_cloud.bigquery.types import Field, field_of_arrow, fields_of

__all__ = ("Loaded", "Loads")

BATCH_ROWS = 10_000
Rows = Iterator[pa.Table]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did."""

    files: int
    read_bytes: int
    rows: int
    bad: int


Kept = Callable[[duckdb.DuckDBPyConnection, Loaded], None]


class Loads:
    """The load jobs of one server."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def run(self, configuration: Mapping[str, Any], files: Sequence[Path], keep: Kept) -> Loaded:
        """Load files; `keep` is called inside of the writing transaction.

        Raises:
            RefusedError: they, or the configuration, are wrong.
        """
        into = Destination.of(configuration)
        if into is None:
            msg = "Required parameter is missing: destinationTable"
            raise invalid(msg)
        self._catalog.dataset(into.ref.project, into.ref.dataset)
        there = self._catalog.find(into.ref)
        reader = _Reader(configuration, there.fields if there is not None else ())
        fields = reader.columns(files)
        with self._database.lock, into.filled(self._database, self._catalog, fields) as filling:
            rows = 0
            for file in files:
                for table in reader.tables(file, filling.table.fields):
                    filling.add(table)
                    rows += table.num_rows
            size = sum(file.stat().st_size for file in files)
            done = Loaded(len(files), size, rows, reader.bad)
            keep(filling.cursor, done)
        return done


class _Reader:
    """Reads files of one format."""

    def __init__(self, configuration: Mapping[str, Any], there: Sequence[Field]) -> None:
        self.bad = 0
        self._given = configuration
        self._format = str(configuration.get("sourceFormat") or "CSV").upper()
        self._most_bad = int(configuration.get("maxBadRecords") or 0)
        self._there = there
        if self._format not in ("NEWLINE_DELIMITED_JSON", "CSV", "PARQUET"):
            msg = f"loading {self._format}"
            raise not_served(msg)
        if (configuration.get("encoding") or "UTF-8") not in ("UTF-8", "UTF8"):
            msg = f"the encoding {configuration['encoding']}"
            raise not_served(msg)

    def columns(self, files: Sequence[Path]) -> tuple[Field, ...]:
        """The columns that the job says, or the files, or the table that is there."""
        said = fields_of(self._given.get("schema"))
        if said:
            return said
        if self._format == "PARQUET" and files:
            with _reading(files[0]):
                return tuple(field_of_arrow(part) for part in pq.read_schema(files[0]))
        if self._there and not self._given.get("autodetect"):
            return tuple(self._there)
        if self._given.get("autodetect") and files:
            with _reading(files[0]):
                return self._detected(files[0])
        msg = "No schema specified on job or table."
        raise invalid(msg)

    def tables(self, file: Path, fields: Sequence[Field]) -> Rows:
        """The rows of a file, as tables of some of them."""
        with _reading(file):
            if self._format == "PARQUET":
                yield from _parquet(file)
            elif self._format == "CSV":
                yield from self._csv(file, fields)
            else:
                yield from self._json(file, fields)

    def _detected(self, file: Path) -> tuple[Field, ...]:
        if self._format == "CSV":
            found = pa.csv.read_csv(file).schema
        else:
            found = pa.json.read_json(file).schema
        return tuple(field_of_arrow(part) for part in found)

    def _json(self, file: Path, fields: Sequence[Field]) -> Rows:
        with file.open("rb") as lines:
            number = 0
            while batch := list(islice(lines, BATCH_ROWS)):
                texts = [(number + i, line) for i, line in enumerate(batch, 1) if line.strip()]
                number += len(batch)
                yield self._made(texts, json.loads, fields)

    def _csv(self, file: Path, fields: Sequence[Field]) -> Rows:
        given = self._given
        skipped = int(given.get("skipLeadingRows") or (1 if given.get("autodetect") else 0))
        names = [field.name for field in fields]
        null = given.get("nullMarker")
        if any(field.repeated or field.type == "RECORD" for field in fields):
            what = "repeated and nested columns from CSV"
            raise not_served(what)
        batches = pa.csv.open_csv(
            file,
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=skipped),
            parse_options=pa.csv.ParseOptions(
                delimiter=_delimiter(given.get("fieldDelimiter")),
                quote_char=given.get("quote", '"') or False,
                newlines_in_values=bool(given.get("allowQuotedNewlines")),
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[null or ""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        number = skipped
        for batch in batches:
            rows = [(number + i, row) for i, row in enumerate(batch.to_pylist(), 1)]
            number += batch.num_rows
            yield self._made(rows, lambda row: row, fields)

    def _made(
        self,
        rows: Sequence[tuple[int, Any]],
        parse: Callable[[Any], Any],
        fields: Sequence[Field],
    ) -> pa.Table:
        ignore = bool(self._given.get("ignoreUnknownValues"))
        records = []
        for number, row in rows:
            try:
                records.append(parse_record(parse(row), fields, ignore=ignore))
            except ValueError as error:
                self.bad += 1
                if self.bad > self._most_bad:
                    msg = f"Error while reading data, row {number}: {error}"
                    raise invalid(msg) from error
        return records_table(records, fields)


def _parquet(file: Path) -> Rows:
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(BATCH_ROWS):
            yield pa.Table.from_batches([batch])


def _delimiter(given: object) -> str:
    text = str(given or ",")
    return {"tab": "\t", "\\t": "\t"}.get(text, text)


class _reading:  # noqa: N801  (a context manager, used like a function)
    """Says what is wrong with a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, pa.ArrowException | UnicodeDecodeError):
            msg = f"Error while reading data, error message: {str(error).splitlines()[0]}"
            raise invalid(msg) from error
