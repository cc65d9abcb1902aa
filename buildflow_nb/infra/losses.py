"""What a plan's deletions would lose, counted by asking: objects, messages, rows.

All are asked side by side, on a loop of their own, within a few seconds in all. What does not
answer by then, or cannot be asked, is not known, and never nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping

from buildflow_nb.core.env import Env
from buildflow_nb.core.known_resources import HOLDING, holder_of
from buildflow_nb.core.primitive import key_of, owned_by
from buildflow_nb.core.resource_look import Asked, Held, Lookable, Standing
from buildflow_nb.core.status.operations import Op
from buildflow_nb.core.status.plan import Change, Loss
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
    going = {change.owner: nouns for change in changes if (nouns := _held_by(change))}
    if not going:
        return Loss()
    known = {key_of(one): one for one in _with_owned(mentioned) if isinstance(one, Lookable)}
    asked = {owner: _to_ask(owner, view, known) for owner in going}
    answers = _answers({o: one for o, one in asked.items() if one is not None}, env, within_s)
    found: dict[str, Held | None] = {}
    for owner, noun in going.items():
        held = answers.get(owner)
        if held is None:
            found[owner] = Held(noun, None)
        elif held.count != 0 or held.about == "at least":  # an estimate of none is none
            found[owner] = held
    return Loss(found)


def _held_by(change: Change) -> str:
    """What a change takes away, "" if nothing of that kind."""
    nouns = [
        HOLDING[step.type][0] for step in change.steps if step.op in GOING and step.type in HOLDING
    ]
    return nouns[0] if nouns else ""


def _with_owned(primitives: Iterable[object]) -> Iterable[object]:
    for primitive in primitives:
        yield primitive
        yield from _with_owned(owned_by(primitive))


def _to_ask(owner: str, view: StackView, known: Mapping[str, Lookable]) -> Lookable | None:
    if owner in known:
        return known[owner]
    found = (holder_of(one.type, one.id) for one in view.resources if one.owner == owner)
    return next((one for one in found if one is not None), None)


def _answers(wanted: Mapping[str, Lookable], env: Env, within_s: float) -> dict[str, Held | None]:
    """What each holds, as far as it has said so in time; whoever hangs is left behind."""
    found: dict[str, Held | None] = {}

    async def ask(owner: str, primitive: Lookable, room: asyncio.Semaphore) -> None:
        async with room:
            look = await primitive.look(env, Asked(0, whole=True, within_s=within_s))
        if look.standing is Standing.ABSENT:
            found[owner] = Held("objects", 0)  # it is gone by itself
        elif look.there:
            found[owner] = look.held

    async def ask_all() -> None:
        room = asyncio.Semaphore(AT_ONCE)
        asking = [asyncio.ensure_future(ask(owner, one, room)) for owner, one in wanted.items()]
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
