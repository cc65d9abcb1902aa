"""docs/types-in-stores.md says what becomes of types."""

import datetime
import decimal
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from buildflow_nb.io.clickhouse.column_types import column_type as clickhouse_type
from buildflow_nb.io.columns.arrow import arrow_field
from buildflow_nb.io.columns.kinds import PLAIN_KINDS, kind_of
from buildflow_nb.io.snowflake.column_types import column_type as snowflake_type

PAGE = Path(__file__).parents[3] / "docs" / "types-in-stores.md"
ROWS = [
    [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("| "))]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ")
][2:]


@dataclass
class Record:
    x: int


KNOWN = {"datetime": datetime, "decimal": decimal, "uuid": uuid, "Any": Any}


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_a_row_says_what_the_column_is(row):
    python, word, duckdb, arrow = row[:4]
    hints = [eval(hint, KNOWN) for hint in re.findall("`(.*?)`", python)] or [Record]  # noqa: S307
    for hint in hints:
        kind = kind_of(hint, zoned=word == "timestamptz")
        field = arrow_field("v", kind)
        shown = f"{field.type}{', marked as JSON' if field.metadata else ''}"
        assert (kind.word, kind.sql, shown) == (word, duckdb, arrow)


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_the_warehouses_columns_are_what_a_row_says(row):
    python, word = row[:2]
    for hint in [eval(hint, KNOWN) for hint in re.findall("`(.*?)`", python)] or [Record]:  # noqa: S307
        kind = kind_of(hint, zoned=word == "timestamptz")
        told = [re.sub(r" \((microseconds|JSON)\)$", "", cell) for cell in row[6:8]]
        bare = re.sub(r"^Nullable\((.*)\)$", r"\1", clickhouse_type(kind))  # JSON may be null
        assert told == [bare, snowflake_type(kind)]


def test_there_is_a_row_for_every_word():
    assert [row[1] for row in ROWS if row[1] in PLAIN_KINDS] == [
        "int64",
        "double",
        "bool",
        "string",
        "binary",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "duration",
        "decimal",
        "uuid",
        "json",
    ]
    assert {row[1] for row in ROWS} == {*PLAIN_KINDS, "list", "struct"}
