"""A flow looked at before it runs: connections, credentials, types, versions and the port.

Nothing is consumed, made or written, and the local cloud is not started unasked. Everything is
asked at once, on the loop thread, within one deadline; what does not answer by then is told so.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec, uses_of
from buildflow_nb.core.env import store_of
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Columns, Finding, Health
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.primitive import Checkable, Columned, Env, Managed, key_of, label_of
from buildflow_nb.flow.check_types import Known, look_at_types
from buildflow_nb.flow.replica_checks import look_at_replicas
from buildflow_nb.flow.running import Running
from buildflow_nb.infra.found_keys import aws_keys, gcp_keys
from buildflow_nb.infra.managed import in_order
from buildflow_nb.infra.port_check import look_at_port
from buildflow_nb.infra.pulumi.cli import look_at_engine
from buildflow_nb.local_cloud.client import find_cloud
from buildflow_nb.runtime.concurrency.loop import loop_thread

__all__ = ("Checkup",)

APPLY = "%buildflow apply"  # the cure of whatever is missing in a cloud
GRACE_S = 0.5  # for the loop to hand over what it has found
_PACKAGES = ("buildflow-nb", "duckdb")
Found = list[Finding]


@dataclass(frozen=True, slots=True)
class _Link:
    """One use of a primitive by a processor."""

    processor_id: str
    role: str
    primitive: object


@dataclass(frozen=True, slots=True)
class _Checked:
    """A dependency whose class can be checked, by `async def check(cls, env)`."""

    target: Any

    @property
    def label(self) -> str:
        """Its name."""
        return str(self.target.__name__)

    @property
    def primitive_id(self) -> str:
        """What tells it apart."""
        return f"{self.target.__module__}.{self.target.__qualname__}"

    async def check(self, env: Env) -> Sequence[Finding]:
        """How it is."""
        found: Sequence[Finding] = await self.target.check(env)
        return found


class Checkup:
    """One look at what processors of a flow would use."""

    def __init__(self, flow: Running, options: FlowOptions) -> None:
        self._flow = flow
        self._options = options

    def findings(
        self, specs: Sequence[ProcessorSpec], timeout: float, host: str, port: int, *, start: bool
    ) -> Found:
        """How all of it is; with `start` the local cloud is started first.

        Raises:
            InfraError: the local cloud was to be started, and cannot be.
        """
        links = list(_links(specs))
        if start:
            self._flow.place.need(link.primitive for link in links)
        ends = time.monotonic() + timeout
        replicas = look_at_replicas(self._flow, specs, timeout, cluster=not start)
        aside = _Aside(lambda: [*self._things(specs, links, host, port), *replicas])
        connections, known = self._connections(links, timeout)
        types = [look_at_types(spec, known) for spec in specs]
        return [*connections, *types, *aside.take(ends - time.monotonic())]

    def _connections(self, links: Sequence[_Link], timeout: float) -> tuple[Found, Known]:
        plan = _Plan(*self._standing_env(), timeout)
        written: set[tuple[object, object]] = {
            _id(link.primitive) for link in links if link.role != "source"
        }
        written |= {("store", store_of(link.primitive)) for link in links if link.role == "sink"}
        try:
            found, known = loop_thread().run(plan.carry_out(links), timeout + GRACE_S)
        except TimeoutError:
            said = f"not looked at: no answer within {timeout:g} s"
            cure = (
                "check again; if it stays so, an async processor or a check of a primitive of your "
                "own holds the loop"
            )
            return [Finding("connections", Health.WARNING, said, cure)], {}
        named = [self._mendable(link, _softened(link, one, written)) for link, one in found]
        return named, known

    def _mendable(self, link: _Link, finding: Finding) -> Finding:
        """Apply makes what the flow manages; of anything else, that is said first."""
        if finding.cure != APPLY or not isinstance(link.primitive, Managed):
            return finding
        try:
            managed = {key_of(one) for one in in_order(self._flow.registry.managed)}
        except DeclarationError:  # apply says it
            return finding
        if key_of(link.primitive) in managed:
            return finding
        cure = f"make it, or app.manage(…) it and {APPLY}: the flow does not manage it"
        return replace(finding, cure=cure)

    def _standing_env(self) -> tuple[Env, bool, Sequence[str] | None]:
        """Where clients connect, whether what is in a cloud can be looked at, and in which stores.

        A local cloud that does not run is left alone, as are those of its stores that sleep.
        """
        env = self._flow.place.env()
        if not self._flow.place.local:
            return env, True, None
        record = find_cloud(self._flow.config.folder)
        endpoints = {} if record is None else record.endpoints
        awake = () if record is None else record.awake
        return replace(env, endpoints=endpoints), record is not None, awake

    def _things(
        self, specs: Sequence[ProcessorSpec], links: Sequence[_Link], host: str, port: int
    ) -> Iterator[Finding]:
        """All that needs no connection."""
        managed = self._flow.registry.managed
        clouds = {getattr(p, "cloud", "") for p in (*(k.primitive for k in links), *managed)}
        yield from self._keys(clouds)
        yield Finding("Python", Health.OK, platform.python_version())
        for name in _PACKAGES:
            yield Finding(name, Health.OK, importlib.metadata.version(name))
        if managed:
            yield look_at_engine()
        if any(not isinstance(spec, ConsumerSpec) for spec in specs):
            yield self._port(host, port)

    def _keys(self, clouds: set[str]) -> Iterator[Finding]:
        asked: Mapping[str, Callable[[], Finding]] = {
            "aws": lambda: aws_keys(self._options.aws),
            "gcp": lambda: gcp_keys(self._options.gcp),
        }
        for cloud, look in asked.items():
            if cloud in clouds:
                found = look()
                made_up = "made up for the local cloud; no others are used on this stack"
                local = Finding(found.subject, Health.OK, made_up)
                yield local if self._flow.place.local else found

    def _port(self, host: str, port: int) -> Finding:
        address = None if self._flow.handle is None else self._flow.handle.snapshot().address
        if address is not None:
            return Finding("port", Health.OK, f"the flow serves at {address}")
        return look_at_port(host, port)


class _Plan:
    """Asks all primitives at once; runs on the loop thread."""

    def __init__(
        self, env: Env, reached: bool, awake: Sequence[str] | None, timeout: float
    ) -> None:
        self._env = env
        self._reached = reached
        self._awake = awake
        self._timeout = timeout

    async def carry_out(self, links: Sequence[_Link]) -> tuple[list[tuple[_Link, Finding]], Known]:
        """What was found of each use, and the columns of what has some."""
        once = {_id(link.primitive): link.primitive for link in links}
        tables = {id(link.primitive): link.primitive for link in links}
        looks = asyncio.gather(*(self._look(primitive) for primitive in once.values()))
        columns = await asyncio.gather(
            *(
                self._columns(one)
                for one in tables.values()
                if isinstance(one, Columned) and not self._sleeps(one)
            )
        )
        seen = dict(zip(once, await looks, strict=True))
        found = [
            (link, finding)
            for link in links
            for finding in seen[_id(link.primitive)]
            if finding.role in ("", "source" if link.role == "source" else "sink")
        ]
        return found, {one: names for one, names in columns if names is not None}

    def _sleeps(self, primitive: object) -> bool:
        """Whether it is in a store that does not run."""
        store = store_of(primitive)
        return bool(store) and self._awake is not None and store not in self._awake

    async def _look(self, primitive: object) -> Sequence[Finding]:
        subject = label_of(primitive)
        if not isinstance(primitive, Checkable):
            cure = "give it `async def check(self, env)`, or see whether it runs"
            return [Finding(subject, Health.WARNING, "cannot be checked", cure)]
        away = not self._reached and isinstance(primitive, Managed)
        if away or self._sleeps(primitive):
            sleeps = f"{store_of(primitive)} of the local cloud sleeps"
            said = f"not looked at: {sleeps if self._reached else 'the local cloud does not run'}"
            cure = "run and apply start it, or `%buildflow cloud start`"
            return [Finding(subject, Health.WARNING, said, cure)]
        try:
            async with asyncio.timeout(self._timeout):
                return await primitive.check(self._env)
        except TimeoutError:
            said, cure = f"no answer within {self._timeout:g} s", "look at the network, check again"
        except Exception as error:  # noqa: BLE001  (the boundary to primitives of users' own)
            said, cure = f"its check failed: {type(error).__name__}: {error}", "mend its `check`"
        return [Finding(subject, Health.ERROR, said, cure)]

    async def _columns(self, primitive: Columned) -> tuple[int, Columns | None]:
        """The columns of what has some; what cannot be looked at is told by its check."""
        try:
            async with asyncio.timeout(self._timeout):
                return id(primitive), await primitive.columns(self._env)
        except Exception:  # noqa: BLE001  (the boundary to primitives of users' own)
            return id(primitive), None


class _Aside:
    """What blocks, on a daemon thread meanwhile: a program that hangs is left behind."""

    def __init__(self, look: Callable[[], Found]) -> None:
        self._found: SimpleQueue[Found | Exception] = SimpleQueue()

        def run() -> None:
            try:
                self._found.put(look())
            except Exception as error:  # noqa: BLE001  (handed to whoever waits)
                self._found.put(error)

        threading.Thread(target=run, name="check", daemon=True).start()

    def take(self, timeout: float) -> Found:
        """What was found."""
        try:
            found = self._found.get(timeout=max(GRACE_S, timeout))
        except Empty:
            return [Finding("versions", Health.WARNING, "not known in time", "check again")]
        if isinstance(found, Exception):
            said = f"cannot be looked at: {type(found).__name__}: {found}"
            return [Finding("versions", Health.WARNING, said, "%buildflow doctor")]
        return found


def _links(specs: Iterable[ProcessorSpec]) -> Iterator[_Link]:
    for spec in specs:
        for use in uses_of(spec):
            yield _Link(spec.id, f"{use.role} {use.by}".strip(), use.primitive)
        for provider in spec.processor.providers:
            target = provider.dependency.dependency_fn
            if provider.given is None and isinstance(target, type) and hasattr(target, "check"):
                yield _Link(spec.id, "dependency", _Checked(target))


def _id(primitive: object) -> tuple[type, object]:
    """What two uses of the same thing have in common; ids of primitives are unique in a flow."""
    return type(primitive), getattr(primitive, "primitive_id", id(primitive))


def _softened(link: _Link, finding: Finding, written: set[tuple[object, object]]) -> Finding:
    """Named by its use; a source that is missing, and that the flow itself makes, will be there.

    What a query reads is not known, but that the flow writes to the store that it asks.
    """
    subject = f"{link.processor_id} {link.role}: {finding.subject}"
    finding = replace(finding, subject=subject)
    ways = {_id(link.primitive), ("store", store_of(link.primitive) or None)}
    makes = link.role == "source" and bool(ways & written)
    if makes and "(yet)" in finding.said:
        return replace(finding, health=Health.WARNING, cure="the flow makes it when it runs")
    return finding
