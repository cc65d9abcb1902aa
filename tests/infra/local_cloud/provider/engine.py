"""The real engine, with inline programs, on the provider servers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi import automation as auto

from buildflow_nb.infra.pulumi_cli import find_cli

PASSPHRASE = "for tests"  # noqa: S105


def command() -> auto.PulumiCommand:
    """The command line program, or a skipped test where this machine has none."""
    root = os.environ.get("PULUMI_COMMAND_ROOT")
    if root is None:
        found = find_cli()
        if found is None:
            pytest.skip("no pulumi on this machine")
        root = str(found.path.parent.parent)
    return auto.PulumiCommand(root=root)


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
            work_dir=str(folder / "work"),
            opts=auto.LocalWorkspaceOptions(env_vars=env, pulumi_command=command()),
        )

    def up(self, program: Callable[[], None]) -> dict[str, dict]:
        """Update the stack; gives what was done by resource name: operation, changed paths."""
        self.stack.workspace.program = program
        return self._told(lambda told: self.stack.up(on_event=told, color="never"))

    def preview(self, program: Callable[[], None]) -> dict[str, dict]:
        self.stack.workspace.program = program
        return self._told(lambda told: self.stack.preview(on_event=told, color="never"))

    def refresh(self, program: Callable[[], None]) -> dict[str, dict]:
        self.stack.workspace.program = program
        return self._told(
            lambda told: self.stack.refresh(on_event=told, color="never", run_program=True)
        )

    def destroy(self, program: Callable[[], None]) -> dict[str, dict]:
        self.stack.workspace.program = program
        return self._told(
            lambda told: self.stack.destroy(on_event=told, color="never", run_program=True)
        )

    def outputs(self) -> dict[str, object]:
        return {name: output.value for name, output in self.stack.outputs().items()}

    def texts(self) -> str:
        """Everything that this project has written, to look for secrets in it."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return "".join(path.read_text(errors="replace") for path in files)

    def _told(self, run: Callable[[Callable[[auto.EngineEvent], None]], object]) -> dict[str, dict]:
        found: dict[str, dict] = {}

        def hear(event: auto.EngineEvent) -> None:
            if event.resource_pre_event is not None:
                metadata = event.resource_pre_event.metadata
                if not metadata.type.startswith("pulumi:"):
                    paths = {p: d.diff_kind for p, d in (metadata.detailed_diff or {}).items()}
                    entry = found.setdefault(metadata.urn.rpartition("::")[2], {"ops": []})
                    entry["ops"].append(str(getattr(metadata.op, "value", metadata.op)))
                    entry.setdefault("paths", paths)

        run(hear)
        return found
