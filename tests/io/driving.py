"""Opens primitives and drives them, as tests of all connectors do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from buildflow_nb.core.findings import Finding
from buildflow_nb.core.primitive import Checkable, Env, Readable, Source, Writable
from buildflow_nb.core.resource_look import Asked, Lookable, ResourceLook

DEADLINE_S = 20.0  # far more than any test needs; only a hang reaches it


def run(coroutine):
    """Run to the end, within the deadline."""

    async def within():
        return await asyncio.wait_for(coroutine, DEADLINE_S)

    return asyncio.run(within())


async def drain(source: Source, most: int = 1_000_000) -> list[object]:
    """Pull to the end, or until `most` elements have come, settling all."""
    found: list[object] = []
    while len(found) < most:
        batch = await source.pull()
        if batch is None:
            break
        found += batch.items
        if batch.receipts is not None:
            await source.settle(batch.receipts, ok=True)
    return found


def pulled(primitive: Readable, most: int = 1_000_000) -> list[object]:
    """All elements of a primitive, from a source of its own."""

    async def go():
        async with primitive.source(Env()) as source:
            return await drain(source, most)

    return run(go())


def pushed(primitive: Writable, *pushes: Sequence[object], element: object = None) -> None:
    """Push into a sink of its own."""

    async def go():
        async with primitive.sink(Env(), element) as sink:
            for items in pushes:
                await sink.push(items)

    run(go())


def checked(primitive: Any, role: str) -> list[Finding]:
    """What the check of a primitive finds for its use as a source or a sink, if it has one."""
    if not isinstance(primitive, Checkable):
        return []
    found = run(primitive.check(Env()))
    assert found
    assert all(finding.subject.startswith(type(primitive).__name__) for finding in found)
    return [finding for finding in found if finding.role in ("", role)]


def glanced(primitive: Any, **words: Any) -> ResourceLook | None:
    """A look at a primitive, if it has one."""
    if not isinstance(primitive, Lookable):
        return None
    look = run(primitive.look(Env(), Asked(**words)))
    assert look.key.startswith(type(primitive).__name__)
    assert look.kind
    return look


def lying_there(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder, with when it was changed and what is in it."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }
