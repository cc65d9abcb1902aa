"""A queue in a file, which several processes may read at once: leased, settled, given back."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import ClassVar

from buildflow_nb.core.primitive import Batch, Env, Wire

LEASE_S = 1.5


def connect(path: str) -> sqlite3.Connection:
    made = sqlite3.connect(path, isolation_level=None, timeout=20.0)
    made.execute("pragma journal_mode=wal")
    made.execute("create table if not exists queue (id integer primary key, body text, until real)")
    made.execute("create table if not exists rows (body text, pid integer)")
    return made


def fill(path: str, elements: Sequence[object]) -> None:
    with closing(connect(path)) as db:
        db.execute("begin immediate")
        rows = [(json.dumps(element),) for element in elements]
        db.executemany("insert into queue (body, until) values (?, 0)", rows)
        db.execute("commit")


def stored(path: str) -> list[object]:
    with closing(connect(path)) as db:
        return [json.loads(body) for (body,) in db.execute("select body from rows")]


def writers(path: str) -> set[int]:
    with closing(connect(path)) as db:
        return {pid for (pid,) in db.execute("select distinct pid from rows")}


@dataclass(frozen=True)
class SharedQueue:
    """Leased to whoever asks."""

    path: str
    batch: int = 10
    shared: ClassVar[bool] = True
    source_wire: ClassVar[Wire] = Wire.RECORD
    sink_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1
    max_push: ClassVar[int] = 100
    linger_s: ClassVar[float] = 0.0

    @property
    def primitive_id(self) -> str:
        return self.path

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[_Leases]:
        with closing(connect(self.path)) as db:
            yield _Leases(db, self.batch)

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[_Queued]:
        with closing(connect(self.path)) as db:
            yield _Queued(db)


@dataclass(frozen=True)
class SharedRows:
    """A table that every process may append to."""

    path: str
    sink_wire: ClassVar[Wire] = Wire.RECORD
    max_push: ClassVar[int] = 100
    linger_s: ClassVar[float] = 0.0

    @property
    def primitive_id(self) -> str:
        return self.path

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[_Rows]:
        with closing(connect(self.path)) as db:
            yield _Rows(db)


class _Leases:
    def __init__(self, db: sqlite3.Connection, batch: int) -> None:
        self._db, self._batch = db, batch

    async def pull(self) -> Batch | None:
        import asyncio

        now = time.time()
        rows = self._db.execute(
            "update queue set until = ? where id in "
            "(select id from queue where until < ? order by id limit ?) returning id, body",
            (now + LEASE_S, now, self._batch),
        ).fetchall()
        if not rows:
            await asyncio.sleep(0.02)
        return Batch([json.loads(body) for _, body in rows], [key for key, _ in rows])

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        keys = [(key,) for key in receipts]
        word = "delete from queue" if ok else "update queue set until = 0"
        self._db.execute("begin immediate")
        self._db.executemany(f"{word} where id = ?", keys)
        self._db.execute("commit")

    async def backlog(self) -> int | None:
        return int(self._db.execute("select count(*) from queue").fetchone()[0])


class _Queued:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def push(self, items: Sequence[object]) -> None:
        self._db.execute("begin immediate")
        rows = [(json.dumps(item),) for item in items]
        self._db.executemany("insert into queue (body, until) values (?, 0)", rows)
        self._db.execute("commit")


class _Rows:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def push(self, items: Sequence[object]) -> None:
        import os

        self._db.execute("begin immediate")
        rows = [(json.dumps(item), os.getpid()) for item in items]
        self._db.executemany("insert into rows (body, pid) values (?, ?)", rows)
        self._db.execute("commit")
