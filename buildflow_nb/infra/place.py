"""The stack of a flow: where its clients connect, and what is done to its cloud resources.

On a stack with `cloud: local` only made-up credentials are ever used, and every endpoint is one of
the project's local cloud, which is started when the first of them is asked for. On `cloud: real`
nothing of the local cloud is started.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.core.errors import InfraError, RejectedError
from buildflow_nb.core.operations import (
    Operation,
    OperationEvent,
    OperationListener,
    Outcome,
    Result,
    StepPlanned,
    Summary,
)
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.primitive import Env, Managed
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.core.stack_view import StackView
from buildflow_nb.infra.deployment import Deployment
from buildflow_nb.infra.local_cloud.client import start_cloud
from buildflow_nb.infra.stack import not_begun, operate, warm_up
from buildflow_nb.infra.stack_view import view_of
from buildflow_nb.infra.stop import Stop

__all__ = ("Confirm", "LocalEndpoints", "Place", "finished")

LOCAL_REGION = "us-east-1"
LOCAL_PROJECT = "local-project"  # six letters at least, as Google asks
_ACCOUNT = "000000000000"  # ministack takes twelve digits as the account's id
_LOOPBACK = ("127.0.0.1", "localhost")
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT")

Confirm = Callable[[Outcome], bool]


class LocalEndpoints(Mapping[str, str]):
    """The endpoints of a project's local cloud, looked up when they are needed."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def __getitem__(self, service: str) -> str:
        return start_cloud(self._project).endpoints[service]

    def __iter__(self) -> Iterator[str]:
        return iter(start_cloud(self._project).endpoints)

    def __len__(self) -> int:
        return len(start_cloud(self._project).endpoints)

    def __repr__(self) -> str:
        return f"LocalEndpoints({str(self._project)!r})"


class Place:
    """One stack of a project, with a flow's options."""

    def __init__(self, config: Config, stack: Stack, options: FlowOptions) -> None:
        self._config = config
        self.stack = stack
        self._options = options

    @property
    def local(self) -> bool:
        """Whether the stack is on the local cloud."""
        return self.stack.cloud == "local"

    def env(self) -> Env:
        """Where clients connect and with which credentials."""
        folder, provider = self._config.folder, self._config.provider
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
        )

    def need(self, primitives: Iterable[object]) -> None:
        """Start the local cloud if one of these primitives is in it.

        Raises:
            InfraError: it cannot be started.
        """
        if self.local and any(isinstance(primitive, Managed) for primitive in primitives):
            start_cloud(self._config.folder)

    def expect_operations(self) -> None:
        """Get ready, in the background, for operations that are likely to come."""
        warm_up()

    def operate(
        self,
        operation: Operation,
        managed: tuple[object, ...],
        listener: OperationListener = lambda _: None,
        stop: Stop | None = None,
    ) -> Outcome:
        """Carry out an operation on what is managed; one that fails is told by its summary.

        Raises:
            InfraError: it could not begin.
        """
        if _asked(stop):
            cancelled = not_begun(operation)
            listener(cancelled)
            return Outcome(cancelled)
        events: list[OperationEvent] = []

        def hear(event: OperationEvent) -> None:
            if not isinstance(event, Summary):
                events.append(event)
            listener(event)

        summary = operate(self._deployment(managed, self._attached()), operation, hear, stop)
        return Outcome(summary, tuple(events))

    def change(
        self,
        operation: Operation,
        managed: tuple[object, ...],
        confirm: Confirm | None,
        listener: OperationListener = lambda _: None,
        stop: Stop | None = None,
    ) -> Outcome:
        """Carry out an operation; with `confirm`, preview it first and ask, on this thread.

        After a yes `listener` hears each step of the plan first, so that it knows what is to come.

        Raises:
            RejectedError: the answer was no.
            InfraError: it could not begin, it failed, or `stop` was asked.
        """
        if confirm is not None and not _asked(stop):
            wanted = managed if operation is Operation.APPLY else ()
            plan = finished(self.operate(Operation.PREVIEW, wanted, stop=stop))
            if plan.nothing_to_do:
                return plan
            if not _asked(stop):
                self._agreed(operation, plan, confirm, listener)
        return finished(self.operate(operation, managed, listener, stop))

    def _agreed(
        self, operation: Operation, plan: Outcome, confirm: Confirm, listener: OperationListener
    ) -> None:
        if not confirm(plan):
            msg = f"{operation.value} rejected; nothing was changed"
            raise RejectedError(msg)
        for event in plan.events:
            if isinstance(event, StepPlanned):
                listener(event)

    def view(self, managed: tuple[object, ...]) -> StackView:
        """The stack as its state says, at once: neither the engine nor the local cloud is asked."""
        return view_of(self._deployment(managed, {}), local=self.local)

    def _attached(self) -> Mapping[str, int]:
        """The ports of the local cloud's providers, which is started."""
        return start_cloud(self._config.folder).providers if self.local else {}

    def _deployment(self, managed: tuple[object, ...], attached: Mapping[str, int]) -> Deployment:
        config, options = self._config, self._options
        return Deployment(
            config.app,
            self.stack,
            config.folder,
            config.pulumi_home,
            self.env(),
            managed,
            attached,
            options.refresh_state,
            options.enable_destroy_protection,
        )


def _asked(stop: Stop | None) -> bool:
    return stop is not None and stop.asked


def _reach_loopback_directly() -> None:
    """Keep a proxy of the environment, which every SDK obeys, out of the way to this machine."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return
    for name in ("NO_PROXY", "no_proxy"):  # some read the one, some the other
        told = [part for part in os.environ.get(name, "").split(",") if part]
        missing = [host for host in _LOOPBACK if host not in told]
        if missing and "*" not in told:
            os.environ[name] = ",".join([*told, *missing])


def finished(outcome: Outcome) -> Outcome:
    """The outcome of an operation that is done.

    Raises:
        InfraError: it failed or was interrupted; says which resource and why.
    """
    summary = outcome.summary
    if summary.result is not Result.DONE:
        msg = f"{summary.operation.value}: {summary.error}"
        raise InfraError(msg, summary.text)
    return outcome
