"""Dead letters taken out of their queue and put back into the sources that they came from.

At least once: a letter is deleted when what failed is in the source again, so of a redrive that is
cut off the last few may be there twice, and none is lost. No more letters are taken than there were
when it began, so what fails again at once is not driven in a circle.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import (
    Malformed,
    Readable,
    Releasing,
    Sink,
    Source,
    Writable,
    label_of,
)
from buildflow_nb.core.resource_look import Asked, Lookable
from buildflow_nb.flow.resource_actions import sink_of
from buildflow_nb.flow.resource_names import KnownResource, found_resource

__all__ = ("Redriven", "redriven")

MARGIN_S = 5.0  # before the deadline, for giving back what was taken


@dataclass(slots=True)
class Redriven:
    """How many letters went back, by where to, and why others stay."""

    sent: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many went back."""
        return sum(self.sent.values())

    def __str__(self) -> str:
        sent = ", ".join(f"{n:,} to {where}" for where, n in self.sent.items()) or "none"
        left = "".join(f"; {n:,} stay: {why}" for why, n in self.left.items())
        return f"redriven: {sent}{left}"


async def redriven(  # noqa: PLR0913, PLR0917  (what a line may say)
    env: Env,
    letters: KnownResource,
    known: Mapping[str, KnownResource],
    to: object,
    most: int | None,
    within_s: float,
) -> Redriven:
    """Take letters and put them back.

    Raises:
        UsageError: these are no dead letters, or cannot be taken out.
        TemporaryError: a queue is missing or out of reach.
    """
    ways = _Ways(letters, known, to)
    primitive = letters.primitive
    if not isinstance(primitive, Readable):
        msg = f"redrive: {letters.key} cannot be read; name what its messages are read from"
        raise UsageError(msg)
    bound = await _count(primitive, env)
    if most is not None:
        bound = most if bound is None else min(most, bound)
    ends = time.monotonic() + max(1.0, within_s - MARGIN_S)
    done = Redriven()
    async with primitive.source(env) as source, ways.open(env) as sinks:
        held: list[object] = []
        try:
            await _drive(source, ways, sinks, done, _Bounds(bound, ends, held))
        finally:
            if held:
                await _give_back(source, held)
    return done


@dataclass(slots=True)
class _Bounds:
    """How many letters are taken, until when, and those that stay."""

    most: int | None
    ends: float
    held: list[object]


async def _drive(
    source: Source, ways: _Ways, sinks: Mapping[str, Sink], done: Redriven, bounds: _Bounds
) -> None:
    taken = 0
    while (bounds.most is None or taken < bounds.most) and time.monotonic() < bounds.ends:
        batch = await source.pull()
        if batch is None or not batch.items:
            return
        if batch.receipts is None:
            msg = "redrive: its letters can be read, but not taken out; send them one by one"
            raise UsageError(msg)
        bounds.held += batch.receipts
        room = len(batch.items) if bounds.most is None else bounds.most - taken
        chosen = list(zip(batch.items, batch.receipts, strict=True))[:room]
        taken += len(chosen)
        for where, group in _grouped(chosen, ways, done).items():
            await sinks[where].push([body for body, _ in group])
            gone = [receipt for _, receipt in group]
            await source.settle(gone, ok=True)
            bounds.held[:] = [one for one in bounds.held if all(one is not g for g in gone)]
            done.sent[where] = done.sent.get(where, 0) + len(group)


def _grouped(
    chosen: Sequence[tuple[object, object]], ways: _Ways, done: Redriven
) -> dict[str, list[tuple[object, object]]]:
    groups: dict[str, list[tuple[object, object]]] = {}
    for item, receipt in chosen:
        where, body, why = ways.of(item)
        if why:
            done.left[why] = done.left.get(why, 0) + 1
        else:
            groups.setdefault(where, []).append((body, receipt))
    return groups


async def _count(primitive: object, env: Env) -> int | None:
    if not isinstance(primitive, Lookable):
        return None
    look = await primitive.look(env, Asked(0))
    return None if look.held is None else look.held.count


async def _give_back(source: Source, receipts: Sequence[object]) -> None:
    if isinstance(source, Releasing):
        await source.release(receipts)
    else:
        await source.settle(receipts, ok=False)


class _Ways:
    """Where the elements of letters go: by their processor, or all to one place."""

    def __init__(
        self, letters: KnownResource, known: Mapping[str, KnownResource], to: object
    ) -> None:
        self._by_processor: dict[str, str] = {}
        self._sinks: dict[str, Writable] = {}
        self._all = ""
        if to is not None:
            self._all = self._add(_target(known, to))
            return
        owners = [spec for role, spec in letters.uses if role == "dead letter"]
        if not owners:
            msg = (
                f"redrive: {letters.key} is no processor's dead letters; say where its messages "
                "go, with to= (--to)"
            )
            raise UsageError(msg)
        for spec in owners:
            if isinstance(spec, ConsumerSpec):
                known_source = KnownResource(spec.id, spec.source)
                sink = sink_of(known_source)
                if sink is not None:
                    where = _called(sink)
                    self._by_processor[spec.id] = self._add((where, sink))

    def _add(self, target: tuple[str, Writable]) -> str:
        self._sinks[target[0]] = target[1]
        return target[0]

    @asynccontextmanager
    async def open(self, env: Env) -> AsyncIterator[dict[str, Sink]]:
        """All sinks, open."""
        async with AsyncExitStack() as stack:
            yield {
                where: await stack.enter_async_context(sink.sink(env, None))
                for where, sink in self._sinks.items()
            }

    def of(self, item: object) -> tuple[str, object, str]:
        """Where an item goes, what is sent there, and why it cannot, or ""."""
        if isinstance(item, Malformed):
            return "", None, "they cannot be read"
        body = getattr(item, "data", item)  # a message of Pub/Sub with its attributes
        letter = _letter(body)
        if self._all:
            found = body if letter is None else _element(letter)
            return self._all, self._encoded(self._all, found), ""
        if letter is None:
            return "", None, "they are no dead letters of this flow; say where they go, with --to"
        where = self._by_processor.get(str(letter["processor_id"]), "")
        if not where:
            return "", None, f"nothing can be put into the source of {letter['processor_id']}"
        return where, self._encoded(where, _element(letter)), ""

    def _encoded(self, where: str, body: object) -> object:
        wire = self._sinks[where].sink_wire
        return compile_encoder(None, wire, "redrive")([body])[0]


def _target(known: Mapping[str, KnownResource], to: object) -> tuple[str, Writable]:
    found = found_resource(known, to) if isinstance(to, str) else KnownResource("", to)
    sink = sink_of(found)
    if sink is None:
        msg = f"redrive: {to!r} takes no messages; name a queue or a topic"
        raise UsageError(msg)
    return _called(sink), sink


def _called(sink: Writable) -> str:
    return label_of(sink).partition(" ")[2]


def _letter(body: object) -> Mapping[str, object] | None:
    """The record that a processor wrote, if this is one."""
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return None
    if isinstance(body, Mapping) and {"processor_id", "element", "error"} <= body.keys():
        return body
    return None


def _element(letter: Mapping[str, object]) -> object:
    """What failed, as its source gave it: text that stands as JSON is that text."""
    text = letter["element"]
    if isinstance(text, str) and text.startswith('"'):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
