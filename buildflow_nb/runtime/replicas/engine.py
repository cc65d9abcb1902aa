"""The engine whose units work in replicas: groups of them, by what may work together.

The routes of a flow work in one group of fronts, each of which serves all of them. A consumer has a
group of its own, but for what one process only may open (`placement.py`).

If the host ends by itself it is opened again, a few times; meanwhile processors wait.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec, uses_of
from buildflow_nb.core.declaring.hooks import SHUTDOWN, STARTUP, Hooks, MiddlewareHook
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Env, Managed
from buildflow_nb.runtime.concurrency.backoff import backoff_s
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.http.listener import refuse_taken
from buildflow_nb.runtime.in_process import InProcess
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import reason_of
from buildflow_nb.runtime.plan import RunPlan, is_loopback
from buildflow_nb.runtime.replicas.group import Group
from buildflow_nb.runtime.replicas.host import Host, Wants
from buildflow_nb.runtime.replicas.messages import Opening
from buildflow_nb.runtime.replicas.placement import Placement, place, together
from buildflow_nb.runtime.replicas.sending import Sending
from buildflow_nb.runtime.replicas.unit import ReplicatedUnit
from buildflow_nb.runtime.shipping import pack, pack_spec
from buildflow_nb.runtime.unit import Unit

__all__ = ("Replicated",)

FRONTS = "http fronts"  # no processor can have that name
LOOK_EVERY_S = 0.5
LOOKS_PER_S = 100.0  # of all replicas together: a look costs the run about half a millisecond
REOPENINGS = 3
REOPENS_S = 15.0  # for a host that is opening to be left
READINESS_S = 5.0  # in which a load balancer looks twice, as deploy/service.yaml has it


class Replicated:
    """The units of one run, in the replicas of a host.

    `make_host` is told how many CPUs the processors ask for.
    """

    swap_timeout_s = 60.0
    start_s = 20.0  # a process for each, and what they load
    open_s = 300.0  # a Ray that is tried three times, after others have had their turn

    def __init__(self, plan: RunPlan, make_host: Callable[[float], Host], clock: Clock) -> None:
        self.clock = clock
        self._plan = plan
        self._make_host = make_host
        self._host: Host | None = None
        self._open = asyncio.Event()
        self._groups: dict[str, Group] = {}
        self._homes: dict[str, str] = {}  # groups of processors, as planned at the beginning
        self._specs: dict[str, ProcessorSpec] = {}  # what works in some group, or is about to
        self._placements: dict[str, tuple[ProcessorSpec, Placement]] = {}
        self._asks_stack = False  # some primitive asks where the stack's servers are
        self._sending = Sending(plan.env)
        self._here = InProcess(plan)  # for what has ended
        self._cpus = 0.0
        # Those that a run begins with are packed before, so that they come up in their order.
        self._packed: dict[str, tuple[ProcessorSpec, bytes]] = {}
        self._awaited: set[str] = set()  # routes that are to be there before the first is served
        self._reopening: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def address(self) -> str | None:
        """Where routes are served, once a front is up."""
        fronts = self._groups.get(FRONTS)
        return None if fronts is None else fronts.address

    @property
    def is_open(self) -> bool:
        """Whether the host has been opened, and not closed."""
        return self._host is not None and not self._closed

    @property
    def host(self) -> Host:
        """Where replicas are made."""
        assert self._host is not None  # noqa: S101  (whoever asks waits until it is open)
        return self._host

    @property
    def pause_s(self) -> float:
        """Seconds between two looks at a group."""
        groups = self._groups.values()
        # Sixteen processors, most of them idle, cost a look as much as the look itself.
        count = sum(len(group.members) * (15 + len(group.held)) / 16 for group in groups)
        return max(LOOK_EVERY_S, count / LOOKS_PER_S)

    async def open(self, specs: Sequence[ProcessorSpec]) -> None:
        """Open the host, and wait for a first front, where there are routes.

        Raises:
            CannotShipError: something of a processor cannot be sent; nothing was started.
            RunError: the host cannot be had.
            ServeError: the port cannot be had.
        """
        folder = self._plan.env.folder
        for spec in specs:
            await asyncio.to_thread(pack_spec, self._sending.without_values(spec), folder=folder)
        pack(_of_requests(self._plan.hooks()), folder=folder)
        self._plan_homes(specs)
        self._cpus = sum(spec.options.num_cpus * self.declared(spec) for spec in specs)
        routes = [spec for spec in specs if self.placed(spec).routes]
        if any(self.placed(spec).wants.here for spec in routes):
            refuse_taken(self._plan.host, self._plan.port)  # which is told before a host starts
        await self._open_host()
        self._awaited = {spec.id for spec in routes}
        if routes:
            fronts = self.group_for(routes[0], self.placed(routes[0]))
            await fronts.up()
        for spec in specs:
            with suppress(Exception):  # it is raised where the processor begins
                self._packed[spec.id] = (spec, await self.packed(spec))

    async def begun(self, spec: ProcessorSpec) -> None:
        """Serve routes once the last of those is there that the run began with."""
        self._awaited.discard(spec.id)
        fronts = self._groups.get(FRONTS)
        if fronts is not None and self.placed(spec).routes and not self._awaited:
            await fronts.listen()

    async def unit(self, spec: ProcessorSpec, ledger: Ledger, on_end: Callable[[], None]) -> Unit:
        """A processor in its replicas."""
        return ReplicatedUnit(spec, self, ledger, on_end, self._plan.env)

    async def send(self, spec: ProcessorSpec, element: object, ledger: Ledger) -> list[object]:
        """Set a fresh instance up for it, in this process."""
        return await self._here.send(spec, element, ledger)

    async def retry(self, spec: ProcessorSpec, wanted: RetryInput, ledger: Ledger) -> RetryResult:
        """Set a fresh instance up for it, in this process, and open its sink."""
        return await self._here.retry(spec, wanted, ledger)

    async def refresh(self) -> None:
        """Put the middleware that is declared now around requests, in every front."""
        fronts = self._groups.get(FRONTS)
        if fronts is not None:
            await fronts.refresh(self._opening(fronts.name))

    async def ending(self) -> None:
        """Let load balancers know, and give them the time to look, before requests are refused."""
        fronts = self._groups.get(FRONTS)
        if fronts is not None and not is_loopback(self._plan.host):
            await fronts.unready()
            await self.clock.sleep(READINESS_S)

    async def close(self, grace_s: float) -> None:
        """End all replicas, and the host."""
        self._closed = True
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.wait({self._reopening}, timeout=grace_s + REOPENS_S)
        await asyncio.gather(*(group.close() for group in list(self._groups.values())))
        if self._host is not None:
            await self._host.close()
        await self._sending.close()
        await self._here.close(grace_s)

    async def ready(self) -> None:
        """Wait until the host works."""
        await self._open.wait()

    # -- which group ---------------------------------------------------------------------------

    def placed(self, spec: ProcessorSpec) -> Placement:
        """What a processor asks for; found once, since each asks it of all others."""
        known = self._placements.get(spec.id)
        if known is None or known[0] is not spec:
            placement = place(spec, self._plan.env, loopback=is_loopback(self._plan.host))
            known = self._placements[spec.id] = (spec, placement)
            if any(isinstance(use.primitive, Managed) for use in uses_of(spec)):
                self._asks_stack = True
        return known[1]

    def group_for(self, spec: ProcessorSpec, placement: Placement) -> Group:
        """The replicas in which a processor is to work."""
        name = self._home(spec, placement)
        self._specs[spec.id] = spec
        group = self._groups.get(name)
        if group is None or group.closed:
            group = Group(name, self, self._opening(name), self._wants(name, spec), 1)
            self._groups[name] = group
        self._homes[spec.id] = name
        return group

    def works(self, spec: ProcessorSpec, group: Group) -> None:
        """A processor has taken over in a group, whose replicas are to be as it wants."""
        group.wants = self._wants(group.name, spec)

    def _wants(self, name: str, spec: ProcessorSpec) -> Wants:
        return together([self.placed(each) for each in self._of(name, spec)]).wants

    def wanted(self, group: Group) -> int:
        """How many replicas a group is to have: as many as most of its processors want."""
        return max((held.wanted for held in group.held.values()), default=1)

    def declared(self, spec: ProcessorSpec) -> int:
        """How many replicas a processor begins with."""
        return spec.options.num_replicas if self._spread(spec) else 1

    async def packed(self, spec: ProcessorSpec) -> bytes:
        """A spec as replicas get it."""
        known = self._packed.pop(spec.id, None)
        if known is not None and known[0] is spec:
            return known[1]
        ready = await self._sending.ready(spec, spread=self._spread(spec))
        return await asyncio.to_thread(pack, (ready,), folder=self._plan.env.folder)

    def left(self, spec: ProcessorSpec) -> None:
        """A processor works here no more."""
        if self._specs.get(spec.id) is spec:
            del self._specs[spec.id]

    def stays(self, spec: ProcessorSpec, group: Group | None) -> None:
        """A processor goes on where it was."""
        self._specs[spec.id] = spec
        if group is not None:
            self._homes[spec.id] = group.name
            self._groups[group.name] = group

    def _home(self, spec: ProcessorSpec, placement: Placement) -> str:
        """The group in which a processor has to work, since others there use what it uses."""
        own = FRONTS if placement.routes else self._homes.get(spec.id, spec.id)
        if not placement.exclusive:
            return FRONTS if placement.routes else spec.id
        others = {
            self._homes[name]
            for name, other in self._specs.items()
            if name != spec.id and self.placed(other).exclusive & placement.exclusive
        }
        if not others - {own}:
            return own
        if placement.routes or len(others) > 1:
            used = ", ".join(sorted(placement.exclusive))
            msg = (
                f"{spec.kind} {spec.id!r} uses what one process only can have open ({used}), and "
                "processors that run already have it open in others; app.stop(), then app.run(), "
                "puts them together"
            )
            raise UsageError(msg)
        return others.pop()

    def _plan_homes(self, specs: Iterable[ProcessorSpec]) -> None:
        """Put together, before anything runs, what has to be in one replica."""
        for spec in specs:
            placement = self.placed(spec)
            alike = {
                self._homes[name]
                for name, other in self._specs.items()
                if placement.exclusive and self.placed(other).exclusive & placement.exclusive
            }
            own = FRONTS if placement.routes else spec.id
            merging = {own, *alike}
            home = FRONTS if FRONTS in merging and len(merging) > 1 else min(merging)
            home = own if not alike else home
            self._specs[spec.id], self._homes[spec.id] = spec, own
            for name, before in self._homes.items():
                if before in merging:
                    self._homes[name] = home

    def _of(self, name: str, spec: ProcessorSpec | None = None) -> list[ProcessorSpec]:
        found = [one for one in self._specs.values() if self._homes.get(one.id) == name]
        return found if spec is None or spec in found else [*found, spec]

    def _spread(self, spec: ProcessorSpec) -> bool:
        """Whether a processor may have more than one replica, which its neighbours decide, too."""
        near = self._of(self._homes.get(spec.id, spec.id), spec)
        return all(self.placed(each).spread for each in near)

    # -- the host ------------------------------------------------------------------------------

    def _opening(self, name: str) -> Opening:
        plan, serves = self._plan, name == FRONTS
        return Opening(
            flow_id=plan.flow_id,
            run_id=plan.run_id,
            env=_sendable(plan.env) if self._asks_stack else plan.env,
            serves=serves,
            host=plan.host,
            port=plan.port,
            body_bytes=plan.body_bytes,
            trace_sampling=plan.trace_sampling,
            hooks=_of_requests(plan.hooks()) if serves else {},
        )

    async def _open_host(self) -> None:
        self._host = self._make_host(math.ceil(self._cpus))
        await self._host.open(self._lost)
        self._open.set()

    def _lost(self, why: str) -> None:
        self._open.clear()
        if not self._closed and self._reopening is None:
            self._reopening = asyncio.create_task(self._reopen(why))

    async def _reopen(self, why: str) -> None:
        try:
            for tries in range(1, REOPENINGS + 1):
                await self.host.close()
                await self.clock.sleep(backoff_s(tries))
                try:
                    await self._open_host()
                except Exception as error:  # noqa: BLE001  (whatever it is, processors wait for it)
                    why = reason_of(error)
                else:
                    return
            for group in list(self._groups.values()):
                group.give_up(why)
        finally:
            self._reopening = None


def _sendable(env: Env) -> Env:
    """The environment as replicas get it: what this process looks up is looked up."""
    return replace(env, endpoints=dict(env.endpoints))


def _of_requests(hooks: Hooks) -> Hooks:
    """The flow's code around requests; what is around its run is called once, in the run.

    Middleware whose words this process completes (`for_replicas`) has the same in all replicas.

    Raises:
        UsageError: it cannot do without a word that this process does not know.
    """
    wanted = {key: hook for key, hook in hooks.items() if key[0] not in (STARTUP, SHUTDOWN)}
    for key, hook in wanted.items():
        complete = getattr(hook.target, "for_replicas", None)
        if isinstance(hook, MiddlewareHook) and complete is not None:
            wanted[key] = replace(hook, options=complete(hook.options))
    return wanted
