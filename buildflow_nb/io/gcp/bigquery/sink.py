"""Writes elements to a BigQuery table by the Storage Write API, in Arrow.

What does not fit the declared type is found before anything is sent; what BigQuery finds at fault
it names, and then stores nothing of the request, so that the others are sent again. A push goes in
requests of less than 10 MB, one after the other. `push` is at least once: rows whose answer is lost
are sent again.

`push_once` appends to a stream that counts its rows. Which stream, and from which row on, is noted
in the processor's folder before anything is sent. When a push is repeated, by whatever process, the
noted stream is finalized: no row can come any more, and BigQuery says how many there are. Those are
the first of the push, since rows go in order and those at fault are noted before others follow; the
rest goes to a stream of its own. A push that was never noted was never sent.

Source: BigQuery documentation, "Storage Write API" ("Stream data using the Storage Write API").
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import ConversionError, PermanentError, TemporaryError
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import PushId
from buildflow_nb.io.columns.element_columns import ElementColumns
from buildflow_nb.io.gcp.bigquery.access import Pb, access, message
from buildflow_nb.io.gcp.bigquery.append import ROLE, AppendCall, StreamGoneError
from buildflow_nb.io.gcp.bigquery.existing import Existing, columns_for
from buildflow_nb.io.gcp.bigquery.names import TableName
from buildflow_nb.io.gcp.bigquery.pieces import Piece, pieces_of, rest_of
from buildflow_nb.io.gcp.bigquery.schema import wire_rows, wire_schema
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.partial_push import Failures, raise_failed
from buildflow_nb.io.threads import Threads

__all__ = ("StorageWriteOnceSink", "StorageWriteSink")

SAID = "rows cannot be written"
INVALID_ARGUMENT, ALREADY_EXISTS, OUT_OF_RANGE = 3, 6, 11  # google.rpc.Code
PASSING = (1, 2, 4, 8, 10, 13, 14)  # CANCELLED, UNKNOWN, DEADLINE_EXCEEDED and the like
OF_STREAMS = (2, 3, 4, 5, 6)  # StorageError: it is committed, finalized, not there and the like
EXTRA_FIELDS = 7  # StorageError.SCHEMA_MISMATCH_EXTRA_FIELDS
NOTED = 64  # pushes that may be repeated
CLOSE_S = 60.0  # for a push that is under way


class StorageWriteSink:
    """Appends to a table's default stream; pushes take turns."""

    def __init__(self, env: Env, name: TableName, element: object) -> None:
        self._env = env
        self._name = name
        self._element = element
        self._target = Target("table", str(name), env.stack_said)
        self._columns: ElementColumns | None = None
        self._schema: Any = None
        self._call: AppendCall | None = None
        self._turn = asyncio.Lock()
        self._pushes: set[asyncio.Task[None]] = set()
        self._threads = Threads("bigquery sink", 2)

    async def __aenter__(self) -> Self:
        try:
            with suppress(TemporaryError):
                await self._prepare()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pushes:
            await asyncio.wait(self._pushes, timeout=CLOSE_S)
        await self._close()

    async def push(self, items: Sequence[object]) -> None:
        """Append the items; a caller that is cancelled waits for it."""
        await self._in_turn(items, None)

    async def _in_turn(self, items: Sequence[object], push: PushId | None) -> None:
        if not items:
            return
        task = asyncio.create_task(self._push(items, push))
        self._pushes.add(task)
        task.add_done_callback(self._done)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait((task,))
            raise

    def _done(self, task: asyncio.Task[None]) -> None:
        self._pushes.discard(task)
        if not task.cancelled():
            task.exception()  # whoever was cancelled does not ask for it

    async def _push(self, items: Sequence[object], push: PushId | None) -> None:
        async with self._turn:
            columns, call = await self._prepare()
            failed: Failures = {}
            pieces = await self._run(lambda: self._made(columns, items, failed))
            if push is None:
                for piece in pieces:
                    failed |= await self._append(call, piece)
            else:
                failed |= await self._append_once(call, pieces, push)
        raise_failed(failed, len(items), SAID)

    def _made(
        self, columns: ElementColumns, items: Sequence[object], failed: Failures
    ) -> list[Piece]:
        found = columns.fit(items)
        failed |= found.faults
        rows = wire_rows(found.table, self._schema)
        return pieces_of(rows, found.kept, failed)

    async def _append(self, call: AppendCall, piece: Piece) -> Failures:
        """Append rows, without those at fault; gives why these are."""
        failed: Failures = {}
        waiting = [piece]
        while waiting:
            rows = waiting.pop()
            answer = await self._sent(call, self._name.default_stream, rows, None)
            if not answer.error.code:
                continue
            sound, faults = rows.without(await self._faults(answer, rows))
            failed |= faults
            waiting += sound[::-1]
        return failed

    async def _append_once(
        self, call: AppendCall, pieces: Sequence[Piece], push: PushId
    ) -> Failures:
        del call, pieces, push
        msg = "this sink has no folder to note its pushes in"
        raise PermanentError(msg)

    async def _sent(self, call: AppendCall, stream: str, piece: Piece, offset: int | None) -> Pb:
        """The answer to an append; one that passes, or that the table has changed, is raised."""
        await self._reopened(call)
        answer = await call.append(stream, piece.data, offset)
        if answer.error.code in PASSING:
            msg = f"{self._target} cannot answer for now ({answer.error.message})"
            raise TemporaryError(msg)
        return answer

    async def _reopened(self, call: AppendCall) -> None:
        if not call.is_open:
            await call.open(await self._run(self._reach))

    async def _faults(self, answer: Pb, piece: Piece) -> Failures:
        """The rows at fault by their number in a piece; all of one row, or none of several.

        Raises:
            PermanentError: no row is, but we.
            TemporaryError: the table was altered, and is looked at again.
        """
        if answer.row_errors:
            return {one.index: ConversionError(one.message) for one in answer.row_errors}
        said = " ".join(answer.error.message.split())
        if answer.error.code != INVALID_ARGUMENT:
            msg = f"{self._target} refuses the rows ({said})"
            raise PermanentError(msg)
        code = _storage_error(answer)
        if code in OF_STREAMS:
            msg = f"{self._target}: its write stream takes no more rows ({said})"
            raise TemporaryError(msg)
        if code == EXTRA_FIELDS:
            self._columns = None
            msg = f"{self._target} has other columns than before ({said})"
            raise TemporaryError(msg)
        return {0: ConversionError(said)} if len(piece.positions) == 1 else {}

    async def _prepare(self) -> tuple[ElementColumns, AppendCall]:
        """Look at the table, unless that is done."""
        if self._columns is None or self._call is None:
            await self._close_call()
            columns = await self._run(self._look)
            self._schema = wire_schema(columns)
            self._call = AppendCall(self._target, self._schema)
            self._columns = columns
        return self._columns, self._call

    def _look(self) -> ElementColumns:
        there = Existing.of(self._env, self._name, self._target)
        return columns_for(self._element, there, self._target)

    def _reach(self) -> Any:
        with self._target.faults(ROLE):
            return access(self._env)

    async def _run(self, work: Any) -> Any:
        return await asyncio.wrap_future(self._threads.submit(work))

    async def _close_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            await call.close()

    async def _close(self) -> None:
        await self._close_call()
        self._threads.close()


class StorageWriteOnceSink(StorageWriteSink):
    """A sink that can also store a push once, since it has a folder of its processor's own."""

    def __init__(self, env: Env, name: TableName, element: object) -> None:
        super().__init__(env, name, element)
        assert env.positions is not None  # noqa: S101  (whoever makes it has looked)
        digest = hashlib.blake2s(str(name).encode(), digest_size=8).hexdigest()
        self._note = Position(env.positions, f"bigquery-{digest}")
        self._stream = ""  # that this sink has made, and knows the end of
        self._rows = 0  # in it
        self._noted: dict[str, Any] | None = None  # once it is read

    async def push_once(self, items: Sequence[object], push: PushId) -> None:
        """Append the items, unless this very push was appended before."""
        await self._in_turn(items, push)

    async def _append_once(
        self, call: AppendCall, pieces: Sequence[Piece], push: PushId
    ) -> Failures:
        noted = (await self._notes()).get(str(push))
        try:
            if noted is None:
                return await self._append_rest(call, pieces, push, 0, {})
            known = {int(at): str(said) for at, said in noted["faults"].items()}
            stored = await self._stored(call, noted)
            self._stream = ""  # what other streams hold behind their rows is not known here
            return await self._append_rest(call, pieces, push, stored, known)
        except BaseException:
            self._stream = ""  # how far it is, is asked when the push is repeated
            raise

    async def _stored(self, call: AppendCall, noted: Mapping[str, Any]) -> int:
        """How many rows of a noted push are in the table, and will be for ever."""
        await self._reopened(call)
        try:
            rows = await call.finalize_stream(str(noted["stream"]))
        except StreamGoneError:
            await self._run(self._look)  # or there is no table, and that passes
            return 0  # it was made anew, without the rows of the stream
        return int(noted["stored"]) + max(0, rows - int(noted["row"]))

    async def _append_rest(
        self,
        call: AppendCall,
        pieces: Sequence[Piece],
        push: PushId,
        stored: int,
        known: dict[int, str],
    ) -> Failures:
        """Append the rows behind those that are stored; ones at fault are noted at once."""
        sound = [part for piece in pieces for part in piece.apart(known)]
        waiting = rest_of(sound, stored)[::-1]
        if waiting:
            await self._begin(call)
            note = {"stream": self._stream, "row": self._rows, "stored": stored}
            await self._write_note(push, note, known)
        while waiting:
            piece = waiting.pop()
            answer = await self._sent(call, self._stream, piece, self._rows)
            if answer.error.code in (ALREADY_EXISTS, OUT_OF_RANGE):
                msg = f"{self._target}: its stream is not where it was ({answer.error.message})"
                raise TemporaryError(msg)
            if not answer.error.code:
                self._rows += len(piece.positions)
                continue
            parts, faults = piece.without(await self._faults(answer, piece))
            known |= {at: str(error) for at, error in faults.items()}
            if faults:
                await self._write_note(push, note, known)
            waiting += parts[::-1]
        return {at: ConversionError(said) for at, said in known.items()}

    async def _begin(self, call: AppendCall) -> None:
        await self._reopened(call)
        if not self._stream:
            self._stream, self._rows = await call.create_stream(self._name.path), 0

    async def _write_note(
        self, push: PushId, note: Mapping[str, Any], faults: Mapping[int, str]
    ) -> None:
        notes = await self._notes()
        notes.pop(str(push), None)
        notes[str(push)] = {**note, "faults": {str(at): said for at, said in faults.items()}}
        self._noted = dict(list(notes.items())[-NOTED:])
        await self._run(lambda: self._note.write({"pushes": self._noted}))

    async def _notes(self) -> dict[str, Any]:
        """The last pushes that were noted, by id."""
        if self._noted is None:
            found = await self._run(self._note.read)
            pushes = found.get("pushes") if isinstance(found, dict) else None
            self._noted = pushes if isinstance(pushes, dict) else {}
        return self._noted


def _storage_error(answer: Pb) -> int:
    """The code of the `StorageError` that goes with an answer; 0 without one."""
    for detail in answer.error.details:
        if detail.type_url.endswith("google.cloud.bigquery.storage.v1.StorageError"):
            found = message("StorageError")()
            found.ParseFromString(detail.value)
            return int(found.code)
    return 0
