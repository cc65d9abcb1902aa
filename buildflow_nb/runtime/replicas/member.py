"""One replica of a group, from the run's side: asked, looked at, and let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import reason_of
from buildflow_nb.runtime.replicas.host import GoneError, Hosted, Wants
from buildflow_nb.runtime.replicas.merge import absorb
from buildflow_nb.runtime.replicas.messages import Look, LookRequest, UnitLook
from buildflow_nb.runtime.replicas.mirror import Mirror
from buildflow_nb.runtime.replicas.reply import opened
from buildflow_nb.runtime.shipping import pack

__all__ = ("ASK_S", "Member", "raise_first", "why_of", "wrong")

ASK_S = 60.0  # for what takes as long as code of the user's does
BLOCKED = "code that blocks its loop (time.sleep in async code) is the usual reason"
LOOK_S = 10.0  # code of the user's may hold the loop of a replica; its last numbers stand


class Member:
    """A replica with processors in it; `number` counts up in its group, from 1."""

    def __init__(self, number: int, hosted: Hosted, wants: Wants, folder: Path) -> None:
        self.number = number
        self.hosted = hosted
        self.wants = wants  # which it has
        self.looks: dict[str, UnitLook] = {}
        self.activity = -1  # of the run, as the last look was asked with
        self.gone: GoneError | None = None
        self.late = ""  # why it could not be looked at last
        self._folder = folder  # of modules that may lie beside the flow
        self._mirrors: dict[str, Mirror] = {}
        self._looking: asyncio.Task[None] | None = None

    async def ask(self, method: str, *arguments: object, timeout_s: float = ASK_S) -> object:
        """Call a method of the replica's `Work`.

        Raises:
            GoneError: the replica has ended.
            TimeoutError: no answer in time.
            CannotShipError: an argument cannot be sent.
            Exception: whatever was raised there.
        """
        return await self.ask_packed(method, pack(arguments, folder=self._folder), timeout_s)

    async def ask_packed(self, method: str, payload: bytes, timeout_s: float = ASK_S) -> object:
        """The same, with arguments that are packed already."""
        return opened(await self.hosted.call(method, payload, timeout_s))

    def hold(self, processor_id: str, ledger: Ledger, name: str) -> None:
        """Look at a processor from now on; `name` tells it from those of other replicas."""
        self._mirrors[processor_id] = Mirror(ledger, name)

    def let_go(self, processor_id: str, ledger: Ledger) -> None:
        """Look at a processor no more; what it has done until now is kept."""
        self._mirrors.pop(processor_id, None)
        look = self.looks.pop(processor_id, None)
        if look is not None:
            absorb(ledger.metrics, look)

    def begin_look(self, activity: int, on_moved: Callable[[], None]) -> asyncio.Task[None]:
        """Look at everything, unless that is under way."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self.look(activity, on_moved))
        return self._looking

    async def look(self, activity: int, on_moved: Callable[[], None] = lambda: None) -> None:
        """Look at everything now; `gone` and `late` tell afterwards how that went."""
        asked = {name: mirror.asked() for name, mirror in self._mirrors.items()}
        try:
            found = await self.ask("look", LookRequest(activity, asked), timeout_s=LOOK_S)
            assert isinstance(found, Look)  # noqa: S101  (what Work.look gives)
            self._take(found.units)
        except GoneError as error:
            self.gone = error
            return
        except TimeoutError:
            self.late = BLOCKED
            return
        except Exception as error:  # noqa: BLE001  (it is told, and looked at again)
            self.late = reason_of(error)
            return
        self.late = ""
        self.activity = found.activity
        if found.moved:
            on_moved()

    def _take(self, units: Mapping[str, UnitLook]) -> None:
        for name, look in units.items():
            mirror = self._mirrors.get(name)
            if mirror is not None:  # else it was let go meanwhile
                self.looks[name] = look
                mirror.take(look)


def why_of(error: Exception) -> str:
    """What became of a replica, for people; what a host says is a sentence."""
    return str(error) if isinstance(error, GoneError | TimeoutError) else reason_of(error)


def wrong(answers: Iterable[tuple[Member, object]]) -> list[Exception]:
    """What replicas have raised that are still there."""
    errors = [answer for _, answer in answers if isinstance(answer, Exception)]
    return [error for error in errors if not isinstance(error, GoneError)]


def raise_first(answers: Iterable[tuple[Member, object]]) -> None:
    """Raise the first of them."""
    for error in wrong(answers):
        raise error
