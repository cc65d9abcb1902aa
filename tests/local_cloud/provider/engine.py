"""The real engine, with inline programs, on the provider servers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pulumi import automation as auto
from pulumi.automation.events import DiffKind, OpType

from buildflow_nb.infra.pulumi.cli import find_cli

PASSPHRASE = "for tests"  # noqa: S105
NOT_ASKED = object()
MARKS = [
    pytest.mark.pulumi,
    pytest.mark.emulator,
    # The SDKs warn of their own deprecated classes when they are imported.
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("swept"),
]


def command() -> auto.PulumiCommand:
    """The command line program, or a skipped test where this machine has none."""
    root = os.environ.get("PULUMI_COMMAND_ROOT")
    if root is None:
        found = find_cli()
        if found is None:
            pytest.skip("no pulumi on this machine")
        root = str(found.path.parent.parent)
    return auto.PulumiCommand(root=root)


@dataclass(frozen=True)
class Done:
    """A step of the engine: its operation, and the kind of change by path."""

    op: str
    paths: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_event(cls, metadata: auto.StepEventMetadata) -> Done:
        diff = metadata.detailed_diff or {}
        paths = {path: str(DiffKind(d.diff_kind).value) for path, d in diff.items()}
        return cls(str(OpType(metadata.op).value), paths)


Told = dict[str, list[Done]]


class Project:
    """A stack in a folder of its own, whose program can be exchanged."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        (folder / "state").mkdir(parents=True)
        (folder / "work").mkdir()
        self.folder = folder
        env = {
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{n}:{port}" for n, port in ports.items()),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_OPTION_SKIP_PLUGIN_PRE_INSTALL": "true",
        }
        self.stack = auto.create_or_select_stack(
            "dev",
            "provider-test",
            program=lambda: None,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(folder / "work"), env_vars=env, pulumi_command=command()
            ),
        )

        self.stack.info = lambda *_: NOT_ASKED  # a command of its own, after every operation
        self.results: auto.OutputMap = {}

    def up(self, program: Callable[[], None]) -> Told:
        """Update the stack; gives the steps by resource name."""
        self.stack.workspace.program = program

        def run(told: Callable[[auto.EngineEvent], None]) -> None:
            self.results = self.stack.up(on_event=told, color="never").outputs

        return self._told(run)

    def preview(self, program: Callable[[], None]) -> Told:
        self.stack.workspace.program = program
        return self._told(lambda told: self.stack.preview(on_event=told, color="never"))

    def refresh(self, program: Callable[[], None]) -> Told:
        """Refresh the stack; gives what it found, without what the program says to that."""
        self.stack.workspace.program = program
        told = self._told(
            lambda told: self.stack.refresh(on_event=told, color="never", run_program=True)
        )
        return {name: steps[:1] for name, steps in told.items()}

    def destroy(self, program: Callable[[], None]) -> Told:
        """Destroy the stack's resources; gives that, without what the program says before."""
        self.stack.workspace.program = program
        told = self._told(
            lambda told: self.stack.destroy(on_event=told, color="never", run_program=True)
        )
        return {name: steps[-1:] for name, steps in told.items()}

    def outputs(self) -> dict[str, object]:
        return {name: output.value for name, output in self.results.items()}

    def texts(self) -> str:
        """Everything that this project has written, to look for secrets in it."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return "".join(path.read_text(errors="replace") for path in files)

    def _told(self, run: Callable[[Callable[[auto.EngineEvent], None]], object]) -> Told:
        found: Told = {}

        def hear(event: auto.EngineEvent) -> None:
            before, after = event.resource_pre_event, event.res_outputs_event
            heard = before or after
            if heard is None or heard.metadata.type.startswith("pulumi:"):
                return
            done = Done.from_event(heard.metadata)
            name = heard.metadata.urn.rpartition("::")[2]
            if before is not None:
                found.setdefault(name, []).append(done)
            elif found[name][-1].op == "refresh":  # what it found, it tells afterwards
                found[name][-1] = done

        run(hear)
        return found


def ops(told: Told) -> dict[str, str]:
    """What was done by resource name, several steps with a blank between."""
    return {name: " ".join(done.op for done in steps) for name, steps in told.items()}


def paths(told: Told) -> dict[str, dict[str, str]]:
    """The kinds of change by path, of each resource that changes."""
    found = {name: [d.paths for d in steps if d.paths] for name, steps in told.items()}
    return {name: changes[0] for name, changes in found.items() if changes}
