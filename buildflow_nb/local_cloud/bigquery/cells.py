"""Values to and from the JSON of the REST API.

Rows are read as `{"f": [{"v": …}]}` with everything as text, and written as plain JSON objects. A
value that does not fit its column is refused with a reason in Google's words.

Source: BigQuery REST reference, "tabledata.list" and "tabledata.insertAll"; "Data types".
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.types import Field

__all__ = ("cell_rows", "parse_record", "parse_value")

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
US = dt.timedelta(microseconds=1)
INT64 = range(-(2**63), 2**63)
NUMERIC = decimal.Context(prec=38)
_ZONE = re.compile(r"\s*(UTC|Z|[+-]\d{1,2}(:\d\d)?)$", re.IGNORECASE)


def cell_rows(table: pa.Table, fields: Sequence[Field], *, whole: bool) -> list[dict[str, Any]]:
    """The rows of a table; moments are whole microseconds where `whole`, else seconds."""
    columns = [
        [_cell(value, field, whole=whole) for value in column.to_pylist()]
        for column, field in zip(table.columns, fields, strict=True)
    ]
    return [{"f": list(row)} for row in zip(*columns, strict=True)]


def _cell(value: Any, field: Field, *, whole: bool) -> dict[str, Any]:
    if field.repeated:
        return {"v": [_cell(one, field.one, whole=whole) for one in value or ()]}
    if value is None:
        return {"v": None}
    if field.type == "RECORD":
        parts = (_cell(value[part.name], part, whole=whole) for part in field.fields)
        return {"v": {"f": list(parts)}}
    return {"v": _moment(value, whole=whole) if field.type == "TIMESTAMP" else _text(value)}


def _moment(value: dt.datetime, *, whole: bool) -> str:
    microseconds = (value - EPOCH) // US
    return str(microseconds) if whole else repr(microseconds / 1_000_000)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def parse_record(
    given: object, fields: Sequence[Field], *, ignore: bool = False, path: str = ""
) -> dict[str, Any]:
    """A JSON object as the values of columns; with `ignore`, fields that nobody knows are left out.

    Raises:
        ValueError: it does not fit; the message says where.
    """
    if not isinstance(given, Mapping):
        msg = f"This field: {path.rstrip('.') or 'row'} is not a record."
        raise ValueError(msg)  # noqa: TRY004  (one error for all that does not fit)
    known = {field.name.lower() for field in fields}
    values = {str(name).lower(): value for name, value in given.items()}
    if not ignore:
        for name in values.keys() - known:
            msg = f"no such field: {path}{name}."
            raise ValueError(msg)
    return {
        field.name: parse_value(values.get(field.name.lower()), field, ignore=ignore, path=path)
        for field in fields
    }


def parse_value(value: Any, field: Field, *, ignore: bool = False, path: str = "") -> Any:
    """A JSON value as the column's. Raises as `parse_record`."""
    where = f"{path}{field.name}"
    if field.repeated:
        if value is not None and not isinstance(value, list):
            msg = f"No array specified for repeated field: {where}."
            raise ValueError(msg)
        return [parse_value(one, field.one, ignore=ignore, path=path) for one in value or ()]
    if value is None:
        if field.required:
            msg = f"Missing required field: {where}."
            raise ValueError(msg)
        return None
    if field.type == "RECORD":
        return parse_record(value, field.fields, ignore=ignore, path=f"{where}.")
    if isinstance(value, list) and field.type != "JSON":
        msg = f"Array specified for non-repeated field: {where}."
        raise ValueError(msg)
    try:
        return _PARSE[field.type](value)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError) as error:
        msg = f"Cannot convert value to {_SAID.get(field.type, field.type.lower())} (bad value): "
        shown = value if isinstance(value, str) else json.dumps(value, default=str)
        msg = f"{where}: {msg}{shown[:100]}"
        raise ValueError(msg) from error


_SAID = {"INTEGER": "integer", "FLOAT": "double", "BOOLEAN": "boolean"}


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    made = int(value) if isinstance(value, str) else decimal.Decimal(value)
    if made != int(made) or int(made) not in INT64:
        raise ValueError(value)
    return int(made)


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]


def _string(value: Any) -> str:
    if isinstance(value, Mapping):
        raise TypeError(value)
    return value if isinstance(value, str) else json.dumps(value)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _date(value: Any) -> dt.date:
    return dt.date.fromisoformat(value)


def _time(value: Any) -> dt.time:
    made = dt.time.fromisoformat(value)
    if made.tzinfo is not None:
        raise ValueError(value)
    return made


def _datetime(value: Any) -> dt.datetime:
    made = dt.datetime.fromisoformat(value)
    if made.tzinfo is not None:
        raise ValueError(value)
    return made


def _timestamp(value: Any) -> dt.datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return EPOCH + dt.timedelta(seconds=value)
    zone = _ZONE.search(value)
    if zone is None:
        with_zone = f"{value}+00:00"
    elif zone[1].upper() in ("UTC", "Z"):
        with_zone = f"{value[: zone.start()]}+00:00"
    else:
        sign, _, minutes = zone[1].partition(":")
        with_zone = f"{value[: zone.start()]}{sign[0]}{sign[1:]:0>2}:{minutes or '00'}"
    if "T" not in with_zone and ":" not in value:  # a day alone
        with_zone = value[:10] + "T00:00:00" + with_zone[10:]
    return dt.datetime.fromisoformat(with_zone).astimezone(dt.UTC)


def _numeric(value: Any) -> decimal.Decimal:
    if isinstance(value, bool):
        raise TypeError(value)
    made = decimal.Decimal(str(value))
    rounded = made.quantize(decimal.Decimal("1e-9"), decimal.ROUND_HALF_UP, NUMERIC)
    if not rounded.is_finite():
        raise ValueError(value)
    return rounded


def _json(value: Any) -> str:
    if isinstance(value, str):
        json.loads(value)
        return value
    return json.dumps(value)


_PARSE: Mapping[str, Callable[[Any], Any]] = {
    "INTEGER": _integer,
    "FLOAT": _float,
    "BOOLEAN": _boolean,
    "STRING": _string,
    "BYTES": _bytes,
    "DATE": _date,
    "TIME": _time,
    "DATETIME": _datetime,
    "TIMESTAMP": _timestamp,
    "NUMERIC": _numeric,
    "JSON": _json,
}
