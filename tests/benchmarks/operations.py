"""Preview and an apply with nothing to do, against the engine's own time and the SDK's default.

The engine's own time is that of its process inside our operation. The SDK's side is
`Stack.preview` and `Stack.up` as they come, of the same program on the same state.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pulumi import automation

from buildflow_nb.core.config import Config
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.operations import Operation, Result
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.infra.operation import operate
from buildflow_nb.infra.pulumi.cli import get_cli
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.engine import Engine
from buildflow_nb.infra.pulumi.program import program
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.benchmarks.measure import interleave, table

ROUNDS = 7
MS = 1000.0


class Clocked:
    """Adds up how long the engine's process runs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        run = Engine.run

        def clocked(engine: Engine, *words: object) -> object:
            began = time.perf_counter()
            try:
                return run(engine, *words)  # type: ignore[arg-type]
            finally:
                self.seconds += time.perf_counter() - began

        Engine.run = clocked  # type: ignore[assignment,method-assign]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cloud = start_cloud(folder)
        try:
            _measure(folder, dict(cloud.providers))
        finally:
            stop_cloud(folder)


def _measure(folder: Path, attached: dict[str, int]) -> None:
    config = Config.implicit(folder)
    bucket = S3Bucket("bench-bucket")
    managed = (bucket, SQSQueue("bench-orders"), S3FileChangeStream(bucket))
    env = FlowStack(config, config.stack(None), FlowOptions()).env()
    deployment = Deployment(
        config.app, config.stack(None), folder, config.pulumi_home, env, managed, attached
    )
    clocked = Clocked()
    assert operate(deployment, Operation.APPLY).result is Result.DONE
    stack = _sdk_stack(deployment)
    for operation, sdk, goal in (
        (Operation.PREVIEW, lambda: stack.preview(color="never", refresh=True), "<= 1.2"),
        (Operation.APPLY, lambda: stack.up(color="never", refresh=True), "<= 1.3"),
    ):
        engine: list[float] = []

        def ours(operation: Operation = operation, engine: list[float] = engine) -> float:
            before, began = clocked.seconds, time.perf_counter()
            assert operate(deployment, operation).result is Result.DONE
            taken = time.perf_counter() - began
            engine.append((clocked.seconds - before) * MS)
            return taken * MS

        figures = interleave({"ours": ours, "the SDK's own": _timed(sdk)}, ROUNDS)
        told = {"ours": figures["ours"], "the engine's process": engine[1:]}
        told["the SDK's own"] = figures["the SDK's own"]
        title = f"{operation.value}, nothing to do, 5 resources of 3 primitives"
        table(title, told, "ms", {"the engine's process": goal})


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def side() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * MS

    return side


def _sdk_stack(deployment: Deployment) -> automation.Stack:
    root = get_cli().path.parent.parent
    workspace = automation.LocalWorkspace(
        work_dir=str(deployment.work_dir),
        program=program(deployment.managed, deployment.env, deployment.identity),
        env_vars=deployment.environment(),
        project_settings=automation.ProjectSettings(deployment.name, runtime="python"),
        pulumi_command=automation.PulumiCommand(root=str(root)),
    )
    return automation.Stack.select(deployment.stack.name, workspace)


if __name__ == "__main__":
    main()
