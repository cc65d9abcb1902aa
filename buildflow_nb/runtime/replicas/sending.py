"""What a processor is made into before replicas get it.

Each replica has its share: one replica's worth of workers, and no scaling of its own. Dependencies
of scope GLOBAL are made once for the whole run, here, and sent as they are then; all processors of
one replica share what came. They are closed when the run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from buildflow_nb.core.declaring.dependencies import Argument, Given, Provider
from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.scopes import Instances, OpenedSink, Supply, Workshop
from buildflow_nb.runtime.shipping import pack, unpack

__all__ = ("Sending",)


@dataclass(frozen=True, eq=False, slots=True)
class Sent(Given):
    """What was made for the run, as bytes: a replica makes it of them once."""

    key: str
    data: bytes

    def __reduce__(self) -> tuple[Callable[..., Given], tuple[str, bytes]]:
        """As what came first of it."""
        return _arrived, (self.key, self.data)


_there: dict[str, Given] = {}  # in a replica: few, and as long as its run


def _arrived(key: str, data: bytes) -> Given:
    if key not in _there:
        _there[key] = Given(unpack(data))
    return _there[key]


class Sending:
    """Makes specs ready to be sent; used on the loop of one run."""

    def __init__(self, env: Env) -> None:
        self._instances = Instances()
        self._supply = Supply(env, self._instances, _no_sink)
        self._thread: WorkerThread | None = None
        self._folder = env.folder
        self._made: dict[Provider, Given] = {}

    async def ready(self, spec: ProcessorSpec, *, spread: bool) -> ProcessorSpec:
        """The spec as a replica gets it; `spread` says that it is one of several.

        Raises:
            CannotShipError: a dependency of the run's cannot be sent.
            Exception: one could not be made.
        """
        options: Any = spec.options
        if spread:
            options = replace(options, num_replicas=1, min_replicas=0, enable_autoscaler=False)
        for provider in spec.processor.providers:
            await self._make(provider)
        return replace(_with(self._made, spec), options=options)

    @staticmethod
    def without_values(spec: ProcessorSpec) -> ProcessorSpec:
        """The spec as far as it is sent before anything of it was made."""
        nothing = {
            one: Given(None)
            for provider in spec.processor.providers
            for one in provider.walk()
            if one.scope is Scope.GLOBAL
        }
        return _with(nothing, spec)

    async def close(self) -> None:
        """Close what was made. Never raises."""
        for provider in reversed(self._made):
            with suppress(Exception):
                await self._instances.release(provider, self._shop())
        if self._thread is not None:
            self._thread.close()

    async def _make(self, provider: Provider) -> None:
        for one in provider.walk():
            if one.scope is Scope.GLOBAL and one.given is None and one not in self._made:
                value = await self._instances.acquire(one, self._shop())
                self._made[one] = Sent(value, uuid4().hex, pack(value, folder=self._folder))

    def _shop(self) -> Workshop:
        if self._thread is None:
            self._thread = WorkerThread("dependencies of the run")
        return Workshop(self._supply, self._thread.submit)


def _with(made: Mapping[Provider, Given], spec: ProcessorSpec) -> ProcessorSpec:
    """The spec with what was made in place of what makes it."""

    def sent(argument: Argument) -> Argument:
        source = argument.source
        if not isinstance(source, Provider):
            return argument
        if source in made:
            return replace(argument, source=replace(source, arguments=(), given=made[source]))
        arguments = tuple(map(sent, source.arguments))
        if arguments == source.arguments:
            return argument
        return replace(argument, source=replace(source, arguments=arguments))

    processor = spec.processor
    arguments = tuple(map(sent, processor.arguments))
    if arguments == processor.arguments:
        return spec
    return replace(spec, processor=replace(processor, arguments=arguments))


async def _no_sink(primitive: Any) -> OpenedSink:
    msg = (
        f"a dependency of scope GLOBAL cannot push to {type(primitive).__name__}: it is sent to "
        "other processes, and what is open is not; give it Scope.REPLICA"
    )
    raise UsageError(msg)
