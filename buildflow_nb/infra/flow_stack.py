"""The stack of a flow: where its clients connect, and what is done to its cloud resources.

On a stack with `cloud: local` only made-up credentials are ever used, and every endpoint is one of
the project's local cloud, which is started when the first of them is asked for. On `cloud: real`
nothing of the local cloud is started.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.core.declaring.identity import NAMELESS
from buildflow_nb.core.env import store_of
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.interrupts import interrupts_held
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.primitive import Env, Managed
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.core.status.operations import (
    Consent,
    DeclaredPrimitives,
    Operation,
    OperationListener,
    Outcome,
)
from buildflow_nb.core.status.stack_view import StackView

if TYPE_CHECKING:
    from buildflow_nb.infra.plan_price import KnownUsage
    from buildflow_nb.infra.pulumi.deployment import Deployment
    from buildflow_nb.infra.stop import Stop
    from buildflow_nb.local_cloud.record import CloudRecord

__all__ = ("FlowStack", "LocalEndpoints", "LocalServices")

STORE_S = 30.0  # for the stores that a flow needs, which start at once
LOCAL_REGION = "us-east-1"
LOCAL_PROJECT = "local-project"  # six letters at least, as Google asks
_ACCOUNT = "000000000000"  # ministack takes twelve digits as the account's id
_LOOPBACK = ("127.0.0.1", "localhost")
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT")


class LocalEndpoints(Mapping[str, str]):
    """The endpoints of a project's local cloud, looked up when they are needed."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def __getitem__(self, service: str) -> str:
        return _cloud(self._project).endpoints[service]

    def __iter__(self) -> Iterator[str]:
        return iter(_cloud(self._project).endpoints)

    def __len__(self) -> int:
        return len(_cloud(self._project).endpoints)

    def __repr__(self) -> str:
        return f"LocalEndpoints({str(self._project)!r})"


class LocalServices:
    """The stores of a project's local cloud (`core.primitive.Services`)."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def wake(self, service: str) -> str:
        """Start the store that has this endpoint, unless it runs; gives its URL.

        Raises:
            InfraError: it cannot be started.
        """
        from buildflow_nb.local_cloud.client import wake_store

        return wake_store(self._project, service)

    def password(self, store: str) -> Secret:
        """The password of a store.

        Raises:
            InfraError: it cannot be kept.
        """
        from buildflow_nb.local_cloud.client import store_password

        return store_password(self._project, store)

    def __repr__(self) -> str:
        return f"LocalServices({str(self._project)!r})"


class FlowStack:
    """One stack of a project, with a flow's options; it does what the flow `flow_id` asks for.

    Where a `buildflow.yaml` names the app, the state is the app's; otherwise it is the flow's own.
    """

    def __init__(
        self,
        config: Config,
        stack: Stack,
        options: FlowOptions,
        flow_id: str = NAMELESS,
        identity: str = NAMELESS,
    ) -> None:
        self._config = config
        self.stack = stack
        self._options = options
        self._flow_id = flow_id
        self.identity = identity

    @property
    def local(self) -> bool:
        """Whether the stack is on the local cloud."""
        return self.stack.cloud == "local"

    def env(self) -> Env:
        """Where clients connect and with which credentials."""
        folder, provider = self._config.folder, self._config.provider_of(self.stack)
        positions = folder / PRIVATE / "positions"
        if self.local:
            _reach_loopback_directly()
            return Env(
                stack=self.stack.name,
                folder=folder,
                endpoints=LocalEndpoints(folder),
                aws=AWSCredentials(Secret(_ACCOUNT), Secret("local")),
                gcp=GCPCredentials(),
                aws_region=provider.aws_region or LOCAL_REGION,
                gcp_project=provider.gcp_project or LOCAL_PROJECT,
                positions=positions,
                cloud=self.stack.cloud,
                services=LocalServices(folder),
                provider=provider.default,
            )
        told = next((os.environ[v] for v in _PROJECT_VARIABLES if v in os.environ), None)
        return Env(
            stack=self.stack.name,
            folder=folder,
            aws=self._options.aws,
            gcp=self._options.gcp,
            aws_region=provider.aws_region,
            gcp_project=provider.gcp_project or told,
            positions=positions,
            cloud=self.stack.cloud,
            provider=provider.default,
        )

    def need(self, primitives: Iterable[object]) -> None:
        """Start the local cloud if one of these primitives is in it, and its stores.

        A store that does not start is left to whoever needs it, who says why.

        Raises:
            InfraError: the local cloud cannot be started.
        """
        if not self.local:
            return
        found = list(primitives)
        stores = {store for store in map(store_of, found) if store}
        if stores or any(isinstance(primitive, Managed) for primitive in found):
            _cloud(self._config.folder)
        services = LocalServices(self._config.folder)
        threads = [
            threading.Thread(target=_awaken, args=(services, store), daemon=True)
            for store in sorted(stores)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(STORE_S)

    def caution(self, primitives: Iterable[object]) -> str:
        """What to know before these primitives are used: that they are really a cloud's."""
        used = any(isinstance(primitive, Managed) for primitive in primitives)
        return self.stack.caution if used else ""

    def expect_operations(self) -> None:
        """Get ready, in the background, for operations that are likely to come."""
        from buildflow_nb.infra.operation import warm_up

        warm_up()

    def operate(
        self,
        operation: Operation,
        declared: DeclaredPrimitives,
        listener: OperationListener = lambda _: None,
        stop: Stop | None = None,
    ) -> Outcome:
        """Carry out an operation on what is managed; one that fails is told by its summary.

        A preview has its deletions weighed.

        Raises:
            InfraError: it could not begin.
        """
        with interrupts_held():
            from buildflow_nb.infra.flow_operation import FlowOperation

        return FlowOperation(self, declared, listener, stop).carry_out(operation)

    def change(
        self,
        operation: Operation,
        declared: DeclaredPrimitives,
        consent: Consent,
        listener: OperationListener = lambda _: None,
        stop: Stop | None = None,
    ) -> Outcome:
        """Carry out an operation; where somebody is asked, preview it first, on this thread.

        Where nobody is, what has to be typed (`core/status/operations.py`) is not deleted.
        After a yes `listener` hears each step of the plan first, so that it knows what is to come.

        Raises:
            RejectedError: the answer was no, or nobody was asked about deletions that need it.
            InfraError: it could not begin, it failed, or `stop` was asked.
        """
        with interrupts_held():
            from buildflow_nb.infra.flow_operation import FlowOperation

        return FlowOperation(self, declared, listener, stop).change(operation, consent)

    def view(self, managed: tuple[object, ...]) -> StackView:
        """The stack as its state says, at once: neither the engine nor the local cloud is asked."""
        with interrupts_held():
            from buildflow_nb.infra.stack_view import view_of

        return view_of(self.deployment(managed), local=self.local)

    @property
    def usage(self) -> KnownUsage:
        """How resources are used, as buildflow.yaml says and the last run has measured."""
        with interrupts_held():
            from buildflow_nb.infra.measured_usage import known_usage

        return known_usage(self._config)

    def deployment(
        self, managed: tuple[object, ...], attach: Callable[[str], None] | None = None
    ) -> Deployment:
        """What an operation works on; with `attach`, the local cloud is started, which hears it."""
        with interrupts_held():
            from buildflow_nb.infra.pulumi.deployment import Deployment

        config, options = self._config, self._options
        return Deployment(
            config.app if config.written else self._flow_id,
            self.stack,
            config.folder,
            config.pulumi_home,
            self.env(),
            managed,
            _cloud(config.folder, attach).providers if attach and self.local else {},
            options.refresh_state,
            options.enable_destroy_protection,
            self.identity,
            own=not config.written,
        )


def _awaken(services: LocalServices, store: str) -> None:
    with suppress(InfraError):
        services.wake(store)


def _cloud(folder: Path, *tell: Callable[[str], None]) -> CloudRecord:
    """The local cloud of a project, which is started; `tell` hears so where it takes a while."""
    with interrupts_held():
        from buildflow_nb.local_cloud.client import start_cloud

    return start_cloud(folder, *tell)


def _reach_loopback_directly() -> None:
    """Keep a proxy of the environment, which every SDK obeys, out of the way to this machine."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return
    for name in ("NO_PROXY", "no_proxy"):  # some read the one, some the other
        told = [part for part in os.environ.get(name, "").split(",") if part]
        missing = [host for host in _LOOPBACK if host not in told]
        if missing and "*" not in told:
            os.environ[name] = ",".join([*told, *missing])
