"""One call to AppendRows: requests go one after the other, each answered before the next.

Google's own `AppendRowsStream` polls for its answers, so that each costs half a second. A call that
is broken, or whose caller gave up waiting, is over; the next request opens another.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from buildflow_nb.core.errors import BuildFlowError, TemporaryError
from buildflow_nb.io.gcp.bigquery.access import CALL_S, CLOSE_S, Access, Pb, is_cancelled, message
from buildflow_nb.io.gcp.errors import Target

__all__ = ("AppendCall", "StreamGoneError")

ROLE = "roles/bigquery.dataEditor"
METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite"


class StreamGoneError(TemporaryError):
    """There is no such write stream, or its table is not there."""


class AppendCall:
    """Appends Arrow rows of one schema to one write stream at a time."""

    def __init__(self, target: Target, schema: Any) -> None:
        self._target = target
        self._schema = schema.serialize().to_pybytes()
        self._access: Access | None = None
        self._channel: Any = None
        self._call: Any = None
        self._stream = ""

    @property
    def is_open(self) -> bool:
        """Whether it has a channel."""
        return self._channel is not None

    async def open(self, access: Access) -> None:
        """Take a channel, in the place of the last one."""
        await self.close()
        self._access, self._channel = access, access.channel()

    async def append(self, stream: str, batch: bytes, offset: int | None = None) -> Pb:
        """Append a serialized record batch; gives the answer, which may be an error.

        Raises:
            TemporaryError: the call broke; whether the rows are stored is not known.
            PermanentError: BigQuery refuses us.
        """
        if self._call is None or stream != self._stream:
            await self._begin(stream)
            request = message("AppendRowsRequest")(write_stream=stream)
            request.arrow_rows.writer_schema.serialized_schema = self._schema
        else:
            request = message("AppendRowsRequest")()
        request.arrow_rows.rows.serialized_record_batch = batch
        if offset is not None:
            request.offset.value = offset
        try:
            async with asyncio.timeout(CALL_S):
                await self._call.write(request)
                answer = await self._call.read()
        except BaseException as error:
            raise await self._broken(error) from error
        if not hasattr(answer, "append_result"):  # the end of the call, as the server may choose
            raise await self._broken(TimeoutError("the call was ended"))
        return answer

    async def create_stream(self, table: str) -> str:
        """Make a write stream that counts its rows; gives its name. Raises as `append`."""
        request = message("CreateWriteStreamRequest")(parent=table)
        request.write_stream.type_ = 1  # COMMITTED
        made = await self._unary("CreateWriteStream", request, "WriteStream", parent=table)
        return str(made.name)

    async def finalize_stream(self, stream: str) -> int:
        """Let nothing more into a write stream; gives how many rows it has. Raises as `append`."""
        request = message("FinalizeWriteStreamRequest")(name=stream)
        answer = "FinalizeWriteStreamResponse"
        done = await self._unary("FinalizeWriteStream", request, answer, name=stream)
        return int(done.row_count)

    async def _unary(self, method: str, request: Pb, answer: str, **routing: str) -> Pb:
        try:
            stub = self._channel.unary_unary(
                f"{METHOD}/{method}",
                request_serializer=_serialized,
                response_deserializer=message(answer).FromString,
            )
            metadata = self._known.metadata(**routing)
            return await stub(request, timeout=CALL_S, metadata=metadata)
        except BaseException as error:
            raise await self._broken(error) from error

    async def close(self) -> None:
        """End the call, and let go of the channel."""
        self._end()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(CLOSE_S)

    @property
    def _known(self) -> Access:
        assert self._access is not None  # noqa: S101  (it is open)
        return self._access

    async def _begin(self, stream: str) -> None:
        self._end()
        stub = self._channel.stream_stream(
            f"{METHOD}/AppendRows",
            request_serializer=_serialized,
            response_deserializer=message("AppendRowsResponse").FromString,
        )
        self._call = stub(metadata=self._known.metadata(write_stream=stream))
        self._stream = stream

    def _end(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def _broken(self, error: BaseException) -> BaseException:
        """What an error means; the channel is given up, since its address may be an old one."""
        from grpc.aio import AioRpcError, UsageError

        if isinstance(error, (UsageError, asyncio.InvalidStateError)) and self._call is not None:
            with suppress(Exception):  # a write to a call that is over does not say why
                code = await self._call.code()
                details = await self._call.details()
                error = AioRpcError(code, None, None, details)
        await self.close()
        if isinstance(error, AioRpcError) and error.code().name == "NOT_FOUND":
            return StreamGoneError(str(self._target.refused(error, ROLE)))
        if isinstance(error, AioRpcError):
            return self._target.refused(error, ROLE)
        if isinstance(error, asyncio.CancelledError) and not is_cancelled():
            error = TimeoutError("the connection was closed")
        if isinstance(error, TimeoutError):
            said = str(error) or f"no answer within {CALL_S:g} s"
            return TemporaryError(f"{self._target} cannot be reached: {said}")
        if isinstance(error, Exception) and not isinstance(error, BuildFlowError):
            return TemporaryError(f"{self._target} cannot be reached: {error!r}")
        return error


def _serialized(request: Pb) -> bytes:
    data: bytes = request.SerializeToString()
    return data
