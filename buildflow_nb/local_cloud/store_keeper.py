"""Starts the stores that somebody wishes for, and keeps them: the supervisor's, on its loop.

A store that did not start is not tried again for the same wishes: who wishes anew, having mended
what was wrong, gets another try.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.child import Child, Command, PortTakenError
from buildflow_nb.local_cloud.lease import Wish
from buildflow_nb.local_cloud.record import StoreFault
from buildflow_nb.local_cloud.store import Store, password_of
from buildflow_nb.local_cloud.stores import STORES

__all__ = ("StoreKeeper",)

log = logging.getLogger(__name__)

Make = Callable[[Command], Child]


class StoreKeeper:
    """The stores of a cloud's folder; `changed` is called when one has started, or has not.

    `make` gives the child of a command, `taken` hears of ports that a stranger has.
    """

    def __init__(
        self,
        folder: Path,
        make: Make,
        changed: Callable[[], None],
        taken: Callable[[PortTakenError], None],
    ) -> None:
        self._folder = folder
        self._make = make
        self._changed = changed
        self._taken = taken
        self._children: dict[str, Child] = {}  # those that are starting, too
        self._awake: set[str] = set()
        self._faults: dict[str, StoreFault] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Event()  # one has started, or has not

    @property
    def awake(self) -> tuple[str, ...]:
        """Those that run."""
        return tuple(sorted(self._awake))

    @property
    def faults(self) -> dict[str, StoreFault]:
        """Those that did not start, and why."""
        return dict(self._faults)

    @property
    def children(self) -> list[Child]:
        """Their processes, also of those that are starting."""
        return list(self._children.values())

    def want(self, wishes: Mapping[str, set[Wish]], ports: Mapping[str, int]) -> None:
        """Begin to start what is wished for, and does not run."""
        for name, wished in wishes.items():
            store = STORES.get(name)
            fault = self._faults.get(name)
            if store is None or name in self._awake or name in self._starting:
                continue
            if fault is not None and wished <= set(fault.wishes):
                continue
            begun = self._start(store, frozenset(wished), ports)
            self._starting[name] = asyncio.create_task(begun, name=f"start {name}")

    async def settled(self, name: str, wish: Wish) -> None:
        """Wait until a store runs.

        Raises:
            InfraError: it did not start, though this was wished for.
        """
        while name not in self._awake:
            fault = self._faults.get(name)
            if fault is not None and wish in fault.wishes:
                raise InfraError(fault.reason)
            self._turn.clear()
            await self._turn.wait()

    async def stop(self, *, kept: bool) -> None:
        """Stop all of them, also those that are starting."""
        for task in self._starting.values():
            task.cancel()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        await asyncio.gather(*(child.stop(kept=kept) for child in self._children.values()))
        self._starting.clear()
        self._children.clear()
        self._awake.clear()

    async def _start(self, store: Store, wished: frozenset[Wish], ports: Mapping[str, int]) -> None:
        try:
            store.check_installed()
            command = await asyncio.to_thread(self._command, store, ports)
            child = self._children[store.name] = self._make(command)
            child.on_taken = self._taken
            await child.start()
            self._awake.add(store.name)
            self._faults.pop(store.name, None)
            log.info("%s runs", store.name)
        except PortTakenError as error:
            self._children.pop(store.name, None)
            self._taken(error)
        except (InfraError, OSError) as error:
            self._children.pop(store.name, None)
            log.warning("%s did not start: %s", store.name, error)
            self._faults[store.name] = StoreFault(str(error), tuple(sorted(wished)))
        finally:
            self._starting.pop(store.name, None)
            self._turn.set()
            self._changed()

    def _command(self, store: Store, ports: Mapping[str, int]) -> Command:
        own = {name: ports[name] for name in store.ports}
        return store.start(self._folder / store.name, own, password_of(self._folder, store.name))
