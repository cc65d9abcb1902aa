"""What a host and its driver say to each other: small records, each with at most one payload.

They go over a pair of connected sockets as frames: the lengths of record and payload, then both.
One frame is written at a time and waits until the other side takes it, so neither side's memory
holds more than is under way. A record that does not fit is an error of this program.
"""

from __future__ import annotations

import asyncio
import struct

import msgspec

__all__ = (
    "Answer",
    "Call",
    "Channel",
    "Close",
    "Drop",
    "Failed",
    "Fault",
    "FromDriver",
    "FromHost",
    "Kill",
    "Kind",
    "Look",
    "Lost",
    "Machine",
    "Process",
    "Processes",
    "Ready",
    "Seen",
    "Spawn",
    "Spawned",
    "Waits",
)

LENGTHS = struct.Struct(">II")
LONGEST_RECORD = 2**20
LONGEST_PAYLOAD = 256 * 2**20

Process = tuple[int, float]  # its number, and when it began


class Machine(msgspec.Struct, frozen=True):
    """A machine of the cluster: what it has, and how much of it is free; `here` is the driver's."""

    name: str
    total: dict[str, float]
    free: dict[str, float]
    here: bool = False


# -- from the host ----------------------------------------------------------------------------


class Spawn(msgspec.Struct, frozen=True, tag=True):
    """Make an actor; it is called `number` from now on."""

    number: int
    name: str
    num_cpus: float
    num_gpus: float
    memory: int
    here: bool


class Call(msgspec.Struct, frozen=True, tag=True):
    """Call an actor's replica with the payload."""

    number: int
    actor: int
    method: str
    timeout_s: float


class Kill(msgspec.Struct, frozen=True, tag=True):
    """End an actor at once."""

    number: int
    actor: int


class Look(msgspec.Struct, frozen=True, tag=True):
    """Tell the machines of the cluster."""

    number: int


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits for this any more; an actor that was to be made is not."""

    number: int


class Close(msgspec.Struct, frozen=True, tag=True):
    """End everything."""


FromHost = Spawn | Call | Kill | Look | Drop | Close

# -- from the driver --------------------------------------------------------------------------


class Processes(msgspec.Struct, frozen=True, tag=True):
    """All processes that the driver has started, or that were started by those."""

    living: list[Process]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The cluster is there."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The cluster cannot be had, and why."""

    why: str


class Waits(msgspec.Struct, frozen=True, tag=True):
    """What the actor waits for; "" when that is over."""

    number: int
    what: str


class Spawned(msgspec.Struct, frozen=True, tag=True):
    """The actor answers."""

    number: int
    pid: int
    node: str


class Seen(msgspec.Struct, frozen=True, tag=True):
    """The machines of the cluster."""

    number: int
    machines: list[Machine]


class Answer(msgspec.Struct, frozen=True, tag=True):
    """It is done; the payload is what was answered."""

    number: int


Kind = str  # of a fault: one of the four below
GONE, LATE, REFUSED, RAISED = "gone", "late", "refused", "raised"


class Fault(msgspec.Struct, frozen=True, tag=True):
    """It was not done: the process is gone, it was late, it cannot be, or the replica raised."""

    number: int
    kind: Kind
    why: str


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The cluster is gone, and why; the driver ends."""

    why: str


FromDriver = Processes | Ready | Failed | Waits | Spawned | Seen | Answer | Fault | Lost


class Channel:
    """One side of the connection; `receives` is what the other one says."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receives: object
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(receives)
        self._turn = asyncio.Lock()

    async def send(self, message: msgspec.Struct, payload: bytes = b"") -> None:
        """Send one, and wait until the other side has room for the next.

        Raises:
            ValueError: it is too long.
            ConnectionError: the other side is gone.
        """
        record = msgspec.msgpack.encode(message)
        if len(record) > LONGEST_RECORD or len(payload) > LONGEST_PAYLOAD:
            msg = f"a payload of {len(payload):,} bytes; the longest has {LONGEST_PAYLOAD:,}"
            raise ValueError(msg)
        async with self._turn:
            self._writer.write(LENGTHS.pack(len(record), len(payload)) + record)
            if payload:
                self._writer.write(payload)
            await self._writer.drain()

    async def receive(self) -> tuple[object, bytes]:
        """The next one, with its payload.

        Raises:
            ConnectionError: the other side is gone, or says what it should not.
        """
        try:
            lengths = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
            if lengths[0] > LONGEST_RECORD or lengths[1] > LONGEST_PAYLOAD:
                raise ConnectionAbortedError("not a message")  # noqa: EM101
            record = await self._reader.readexactly(lengths[0])
            payload = await self._reader.readexactly(lengths[1]) if lengths[1] else b""
            return self._decoder.decode(record), payload
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the other side is gone") from error  # noqa: EM101
        except msgspec.MsgspecError as error:
            raise ConnectionAbortedError(str(error)) from error

    def close(self) -> None:
        """Let go of it."""
        self._writer.close()
