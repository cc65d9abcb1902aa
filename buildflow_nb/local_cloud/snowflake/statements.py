"""Statements that fakesnow does not know, and what is done for them.

Databases, stages and pipes can be dropped, files of stages removed; pipes are kept as their text.
Warehouses, roles, users and grants are nothing here, so what makes or changes them succeeds and
does nothing. fakesnow forgets at its end which databases and stages there are, so they are noted.
Source: Snowflake documentation, "SQL command reference".
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
from fakesnow import copy_into, info_schema
from fakesnow.transforms import stage
from snowflake.connector import errors

from buildflow_nb.core.project_folder import write_whole

__all__ = ("Pipes", "Stages", "teach")

NOT_NULL, NOT_NULL_STATE = 100072, "22000"  # NULL result in a non-nullable column
NOT_DONE = 1003  # a statement that cannot be compiled
_PASSING = (duckdb.IOException, duckdb.TransactionException, duckdb.OutOfMemoryException)
_NAME = r'("(?:[^"]|"")+"|[\w$]+)'
_PATH = rf"({_NAME}(?:\.{_NAME})*)"
_NOTHING = re.compile(
    r"^\s*(CREATE|DROP|ALTER|GRANT|REVOKE)\s+(OR\s+REPLACE\s+)?"
    r"(WAREHOUSE|ROLE|USER|.*\bTO\s+(ROLE|USER)\b)",
    re.IGNORECASE,
)
_MAKES_STAGE = re.compile(r"^\s*CREATE\s+(OR\s+REPLACE\s+)?STAGE\b", re.IGNORECASE)
_PART = re.compile(r'"((?:[^"]|"")+)"|([\w$]+)')

Cursor = Any  # fakesnow's, which has no types
Parts = tuple[str, str, str]


class Pipes:
    """The pipes by full name, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def put(self, name: str, text: str) -> None:
        """Add one, or replace it."""
        self._texts[name] = text
        self._write()

    def drop(self, name: str) -> bool:
        """Take one away; whether it was there."""
        found = self._texts.pop(name, None) is not None
        self._write()
        return found

    def named(self) -> Mapping[str, str]:
        """All of them."""
        return dict(self._texts)

    def _write(self) -> None:
        write_whole(self._path, json.dumps(self._texts).encode())


class Stages:
    """Which stages there are, kept in a file."""

    TABLE = "_fs_global._fs_information_schema._fs_stages"

    def __init__(self, path: Path) -> None:
        self._path = path

    def restore(self, connection: Any) -> None:
        """Tell fakesnow, by a connection of DuckDB, of those that were there."""
        if self._path.exists():
            sql = f"INSERT INTO {self.TABLE} SELECT * FROM read_parquet(?)"  # noqa: S608
            connection.execute(sql, [str(self._path)])

    def note(self, connection: Any) -> None:
        """Keep those that are there now."""
        fresh = self._path.with_suffix(".new")
        connection.execute(f"COPY {self.TABLE} TO {_text(str(fresh))} (FORMAT parquet)")
        fresh.replace(self._path)


def teach(pipes: Pipes, stages: Stages) -> None:
    """Let every cursor of this process know these statements."""
    cursors: Any = importlib.import_module("fakesnow.cursor").FakeSnowflakeCursor
    plain = cursors.execute
    doings = _Doings(pipes, stages).table

    def execute(self: Cursor, command: str, *arguments: Any, **words: Any) -> Any:
        said = _said(self, command, doings)
        if said is not None:
            return plain(self, f"SELECT '{said}' AS status", *arguments, **words)
        try:
            result = plain(self, command, *arguments, **words)
        except duckdb.ConstraintException as error:
            raise errors.ProgrammingError(
                msg=str(error), errno=NOT_NULL, sqlstate=NOT_NULL_STATE
            ) from None
        except _PASSING:
            raise  # to be asked again
        except (duckdb.Error, NotImplementedError, AssertionError, ValueError) as error:
            # As a fault of the server's it would be asked again until the client's deadline.
            said = (str(error).splitlines() or [type(error).__name__])[0]
            msg = f"the local Snowflake cannot do this: {said}"
            raise errors.ProgrammingError(msg=msg, errno=NOT_DONE, sqlstate="42000") from None
        if _MAKES_STAGE.match(command):
            stages.note(self._duck_conn)
        return result

    cursors.execute = execute
    infos: Any = info_schema
    lengths = infos.insert_text_lengths_sql

    def text_lengths(catalog: str, schema: str, table: str, found: list[tuple[str, int]]) -> str:
        places = [name.replace("'", "''") for name in (catalog, schema, table)]
        sql: str = lengths(*places, [(name.replace("'", "''"), size) for name, size in found])
        return sql

    infos.insert_text_lengths_sql = text_lengths
    urls = copy_into._source_urls  # noqa: SLF001  (FILES=(...) on an internal stage is refused)

    def source_urls(source: str, files: list[str]) -> list[str]:
        if stage.is_internal(source):
            return [os.path.join(source, name) for name in files]  # noqa: PTH118  (a stage's URL)
        found: list[str] = urls(source, files)
        return found

    copy_into._source_urls = source_urls  # noqa: SLF001


Do = Callable[[Cursor, "re.Match[str]"], str]


class _Doings:
    """What is done for each statement that is ours; each gives what a person is told."""

    def __init__(self, pipes: Pipes, stages: Stages) -> None:
        self._pipes = pipes
        self._stages = stages
        unless = r"(?P<unless>IF\s+(?:NOT\s+)?EXISTS\s+)?"
        drop = rf"\s+{unless}(?P<name>{_PATH})"
        self.table: list[tuple[re.Pattern[str], Do]] = [
            (
                _pattern(
                    rf"CREATE\s+(?:OR\s+REPLACE\s+)?PIPE\s+{unless}(?P<name>{_PATH})\s+"
                    r"(?:AUTO_INGEST\s*=\s*\w+\s+)?(?:COMMENT\s*=\s*'[^']*'\s+)?"
                    r"AS\s+(?P<text>.*)$"
                ),
                self._make_pipe,
            ),
            (_pattern(rf"DROP\s+PIPE{drop}"), self._drop_pipe),
            (_pattern(rf"SELECT\s+GET_DDL\('PIPE',\s*'(?P<name>{_PATH})'\)"), self._pipe_text),
            (_pattern(rf"DROP\s+STAGE{drop}"), self._drop_stage),
            (_pattern(rf"DROP\s+DATABASE{drop}"), self._drop_database),
            (_pattern(r"(?:REMOVE|RM)\s+@(?P<path>\S+)"), self._remove),
        ]

    def _make_pipe(self, cursor: Cursor, found: re.Match[str]) -> str:
        name = ".".join(_parts(cursor, found["name"]))
        if name in self._pipes and found["unless"]:
            return f"{name} already exists, statement succeeded."
        self._pipes.put(name, found["text"].strip().rstrip(";"))
        return f"Pipe {name} successfully created."

    def _drop_pipe(self, cursor: Cursor, found: re.Match[str]) -> str:
        name = ".".join(_parts(cursor, found["name"]))
        if not self._pipes.drop(name) and not found["unless"]:
            msg = f"Pipe '{name}' does not exist or not authorized."
            raise errors.ProgrammingError(msg=msg, errno=2003, sqlstate="02000")
        return f"{name} successfully dropped."

    def _pipe_text(self, cursor: Cursor, found: re.Match[str]) -> str:
        name = ".".join(_parts(cursor, found["name"]))
        if name not in self._pipes:
            msg = f"Pipe '{name}' does not exist or not authorized."
            raise errors.ProgrammingError(msg=msg, errno=2003, sqlstate="02000")
        return f"CREATE OR REPLACE PIPE {found['name']} AS {self._pipes.named()[name]};"

    def _drop_stage(self, cursor: Cursor, found: re.Match[str]) -> str:
        parts = _parts(cursor, found["name"])
        cursor._duck_conn.execute(  # noqa: SLF001
            "DELETE FROM _fs_global._fs_information_schema._fs_stages"
            " WHERE database_name = ? AND schema_name = ? AND name = ?",
            parts,
        )
        self._stages.note(cursor._duck_conn)  # noqa: SLF001
        shutil.rmtree(stage.internal_dir(".".join(parts)), ignore_errors=True)
        return f"{parts[2]} successfully dropped."

    def _drop_database(self, cursor: Cursor, found: re.Match[str]) -> str:
        name = _parts(cursor, found["name"])[2]
        connection = cursor._duck_conn  # noqa: SLF001
        known = "SELECT path FROM duckdb_databases() WHERE database_name = ? AND path IS NOT NULL"
        there = connection.execute(known, [name]).fetchone()
        if there is None:
            if not found["unless"]:
                msg = f"Database '{name}' does not exist or not authorized."
                raise errors.ProgrammingError(msg=msg, errno=2003, sqlstate="02000")
            return "Drop statement executed successfully."
        connection.execute("USE memory")  # it may be the session's own
        connection.execute(f"DETACH {_quoted(name)}")
        connection.execute(f"DELETE FROM {Stages.TABLE} WHERE database_name = ?", [name])  # noqa: S608
        self._stages.note(connection)
        for path in (there[0], f"{there[0]}.wal"):
            Path(path).unlink(missing_ok=True)
        return f"{name} successfully dropped."

    def _remove(self, cursor: Cursor, found: re.Match[str]) -> str:
        variable, _, path = found["path"].partition("/")
        connection = cursor._conn  # noqa: SLF001
        parts = stage.parts_from_var(variable, connection.database, connection.schema)
        root = Path(stage.internal_dir(".".join(parts))).resolve()
        target = (root / path).resolve()
        if not target.is_relative_to(root):
            raise errors.ProgrammingError(msg=f"no file of the stage: {path}", errno=1003)
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)
        return f"{found['path']} removed"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*{text}", re.IGNORECASE | re.DOTALL)


def _said(cursor: Cursor, command: str, doings: list[tuple[re.Pattern[str], Do]]) -> str | None:
    """What a statement that is ours did, ready to stand in quotes; None for any other."""
    if _NOTHING.match(command):
        return "Statement executed successfully."
    for pattern, do in doings:
        if (found := pattern.match(command)) is not None:
            return do(cursor, found).replace("'", "''")
    return None


def _parts(cursor: Cursor, name: str) -> Parts:
    """Database, schema and name; what is not said is the session's."""
    given = [
        quoted.replace('""', '"') if quoted else plain.upper()
        for quoted, plain in _PART.findall(name)
    ]
    session = [cursor._conn.database or "", cursor._conn.schema or ""]  # noqa: SLF001
    database, schema, own = (session + given)[-3:]
    return database, schema, own


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
