"""What a request to the HTTP interface asks for: the statement, its data, its settings.

A statement stands in the query string, or in the body, or half here and half there; the rows of an
INSERT follow it in the body. Source: ClickHouse documentation, "HTTP interface".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ("FaultError", "Statement", "read_statement")

# Parameters of the interface itself; any other is a setting of the statement.
_CONTROL = frozenset(
    (
        "add_http_cors_header",
        "async_insert",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_zlib_compression_level",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
        "wait_for_async_insert",
    )
)
_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(r"^\s*INSERT\s+INTO\b", re.IGNORECASE)
_INSERT_AND_ROWS = re.compile(
    rb"^\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)[ \t]*(?:\r?\n|\s|$)", re.IGNORECASE | re.DOTALL
)
_HEAD = 1 << 16  # bytes in which the statement before its rows is looked for
_NAME = re.compile(r"\w+")


class FaultError(Exception):
    """A statement failed, with ClickHouse's number for why (src/Common/ErrorCodes.cpp there)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(
            text if text.startswith("Code:") else f"Code: {code}. DB::Exception: {text}"
        )
        self.code = code


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement; `rows` are the bytes of an INSERT in `format`, else that is the answer's."""

    sql: str
    format: str
    rows: bytes | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    database: str = ""


def read_statement(query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Statement:
    """The statement of a request, whose body is unpacked.

    Raises:
        FaultError: there is none, or it is of a kind that is not served.
    """
    form = query.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated"
    sql, rows, form = _split(query.get("query", ""), body, form)
    if not sql.strip():
        raise FaultError(62, "Empty query")
    named = {name[6:]: value for name, value in query.items() if name.startswith("param_")}
    settings = {
        name: value
        for name, value in query.items()
        if name not in _CONTROL and not name.startswith("param_")
    }
    for name in settings:
        if not _NAME.fullmatch(name):
            raise FaultError(115, f"Unknown setting {name!r}")
    database = query.get("database") or headers.get("X-ClickHouse-Database") or ""
    return Statement(sql, form, rows, named, settings, "" if database == "default" else database)


def _split(sql: str, body: bytes, form: str) -> tuple[str, bytes | None, str]:
    if _INSERT.match(sql) and body:
        found = _FORMAT.search(sql)  # the statement in the query string, its rows in the body
        return (sql, body, form) if found is None else (sql[: found.start()], body, found[1])
    if not sql:
        head = _INSERT_AND_ROWS.match(body[:_HEAD])
        if head is not None and head.end() < len(body) and head[2].upper() != b"VALUES":
            return _text(head[1]), body[head.end() :], head[2].decode()
    sql = f"{sql}\n{_text(body)}".strip()
    ending = None if _INSERT.match(sql) else _FORMAT.search(sql)
    return (sql, None, form) if ending is None else (sql[: ending.start()], None, ending[1])


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FaultError(62, f"the statement is not UTF-8: {error.reason}") from error
