"""What a plan's deletions would lose, counted by asking: objects, messages, rows.

All are asked side by side, on a loop of their own, within a few seconds in all. What is asked is
what the stack's state holds, not what the new declaration names, which may be elsewhere. What does
not answer by then, cannot be asked, or is not found where the state has it, is not known, and never
nothing; an estimate of none is told as an estimate.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from buildflow_nb.core.env import Env
from buildflow_nb.core.known_resources import HOLDING, holder_of
from buildflow_nb.core.primitive import key_of, owned_by
from buildflow_nb.core.resource_look import Asked, Held, Lookable, Standing
from buildflow_nb.core.status.operations import Op, Step
from buildflow_nb.core.status.plan import Change, Loss, vaguest
from buildflow_nb.core.status.stack_view import StackView

__all__ = ("LOSS_S", "losses")

LOSS_S = 5.0  # for all answers; a person waits for the plan
GRACE_S = 1.0
AT_ONCE = 128  # looks; each may take a thread and a connection
GOING = (Op.DELETE, Op.REPLACE)


def losses(
    changes: Iterable[Change],
    view: StackView,
    mentioned: Iterable[object],
    env: Env,
    within_s: float = LOSS_S,
) -> Loss:
    """What would be lost by these changes; blocks, with a deadline."""
    going = {one.owner: steps for one in changes if (steps := _going(one))}
    if not going:
        return Loss()
    known = {key_of(one): one for one in _with_owned(mentioned) if isinstance(one, Lookable)}
    asked = {
        one.urn: _to_ask(one, known.get(owner), view) for owner in going for one in going[owner]
    }
    answers = _answers(asked, env, within_s)
    found: dict[str, Held | None] = {}
    for owner, steps in going.items():
        held = _together(
            [answers.get(one.urn) or Held(HOLDING[one.type][0], None) for one in steps]
        )
        if held.count != 0 or (held.about and not view.local):  # a local count is exact
            found[owner] = held
    return Loss(found)


def _going(change: Change) -> list[Step]:
    """What a change takes away, as far as it may hold something."""
    return [step for step in change.steps if step.op in GOING and step.type in HOLDING]


def _together(parts: Sequence[Held]) -> Held:
    """What one primitive loses: the part that is not known, else all of the noun that counts."""
    unknown = next((one for one in parts if one.count is None), None)
    if unknown is not None:
        return unknown
    noun = max(parts, key=lambda one: (one.count or 0, bool(one.about))).noun
    same = [one for one in parts if one.noun == noun]
    count = sum(one.count or 0 for one in same)
    size = None if any(one.bytes is None for one in same) else sum(one.bytes or 0 for one in same)
    return Held(noun, count, vaguest(one.about for one in same), size)


def _with_owned(primitives: Iterable[object]) -> Iterable[object]:
    for primitive in primitives:
        yield primitive
        yield from _with_owned(owned_by(primitive))


def _to_ask(step: Step, declared: Lookable | None, view: StackView) -> tuple[Lookable, ...]:
    """Whom to ask, the first that is found; what the state has comes before the declaration.

    Where the state tells it, the declaration is asked in the local cloud alone: there is one place
    there, and an id may leave out a region.
    """
    state = (
        holder_of(one.type, one.id)
        for one in view.resources
        if (one.type, one.name, one.owner) == (step.type, step.name, step.owner)
    )
    held = next((one for one in state if one is not None), None)
    order = (held, declared if held is None or view.local else None)
    return tuple(one for one in order if one is not None)


def _answers(
    wanted: Mapping[str, Sequence[Lookable]], env: Env, within_s: float
) -> dict[str, Held]:
    """What each holds, as far as it has said so in time; whoever hangs is left behind."""
    found: dict[str, Held] = {}

    async def ask(urn: str, primitives: Sequence[Lookable], room: asyncio.Semaphore) -> None:
        for primitive in primitives:
            async with room:
                look = await primitive.look(env, Asked(0, whole=True, within_s=within_s))
            held = look.held if look.there else None
            if held is not None:
                uncounted = not held.count and held.about == "at least"
                found[urn] = replace(held, count=None) if uncounted else held
            if look.standing is not Standing.ABSENT:
                return

    async def ask_all() -> None:
        room = asyncio.Semaphore(AT_ONCE)
        asking = [asyncio.ensure_future(ask(urn, some, room)) for urn, some in wanted.items()]
        if asking:
            _, late = await asyncio.wait(asking, timeout=within_s)
            for one in late:
                one.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    thread = threading.Thread(
        target=lambda: asyncio.run(ask_all()), name="buildflow-losses", daemon=True
    )
    thread.start()
    thread.join(within_s + GRACE_S)
    return dict(found)
