"""Looking at what a primitive names, with nothing consumed, made or written.

What a look raises is what a run would meet, so a finding says it in the same words, its cure apart.
SDKs are loaded first, and that is not held against whoever is asked: the deadline is for answers.
Blocking looks run on daemon threads, since one that hangs must not keep a process from ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from buildflow_nb.core.errors import BuildFlowError, DeniedError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Checkable, Env, label_of
from buildflow_nb.io.threads import Threads

__all__ = ("CHECK_S", "looked", "looked_at_parts", "on_thread")

T = TypeVar("T")
CHECK_S = 2.0  # for an answer; a person waits for it, and an emulator or a cloud takes 0.2 s
UNREACHED = "look at the network, at proxies, and whether the service runs"


async def on_thread(call: Callable[[], T]) -> T:
    """Run blocking code on a thread of its own; whoever is cancelled leaves it behind."""
    threads = Threads("check", 1)
    future = threads.submit(call)
    threads.close()
    return await asyncio.wrap_future(future)


async def looked(
    primitive: object,
    look: Callable[[], Awaitable[str]],
    *,
    load: Callable[[], Awaitable[object]] | None = None,
    role: str = "",
    unseen: str = "",
) -> list[Finding]:
    """What a look said, or why it could not, as one finding.

    `unseen` is the permission that a look needs and a run does not: without it nothing is known.
    """
    subject = label_of(primitive)
    try:
        if load is not None:
            await load()
        said = await asyncio.wait_for(look(), CHECK_S)
    except TimeoutError:
        said = f"no answer within {CHECK_S:g} s"
        return [Finding(subject, Health.ERROR, said, UNREACHED, role)]
    except DeniedError as error:
        if not unseen:
            return [_failed(subject, error, role)]
        said = "reached, and the credentials are accepted, but they may not look whether it is well"
        return [Finding(subject, Health.WARNING, said, f"allow {unseen}, or just run it", role)]
    except BuildFlowError as error:
        return [_failed(subject, error, role)]
    return [Finding(subject, Health.OK, said, role=role)]


async def looked_at_parts(primitive: object, env: Env, *parts: Checkable) -> list[Finding]:
    """What was found of the parts of a primitive, told as findings of it."""
    found = await asyncio.gather(*(part.check(env) for part in parts))
    label = label_of(primitive)
    return [replace(one, subject=f"{label}: {one.subject}") for some in found for one in some]


def _failed(subject: str, error: BuildFlowError, role: str) -> Finding:
    """An error's line, what is wrong apart from how to mend it."""
    text = str(error)
    if "cannot be reached" in text:
        return Finding(subject, Health.ERROR, text, UNREACHED, role)
    said, found, cure = text.partition("; ")
    if not found:
        said, _, cure = text.partition(" (run ")
    return Finding(subject, Health.ERROR, said, cure if found else cure.removesuffix(")"), role)
