"""The buildflow.yaml of an exported project: that of the notebook's own project, carried over.

The app keeps its name, because the state of its stacks is found by it. A notebook without a file of
its own gives one with the stack `local` on the local cloud, as it had by default.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from buildflow_nb.core.config import FILE_NAME, CloudProvider, Config, Stack
from buildflow_nb.export.report import ExportedProgram

__all__ = ("config_text", "project_config")

_HOME = Config.implicit(Path()).pulumi_home


def project_config(origin: Config, program: ExportedProgram, folder: Path) -> Config:
    """What the project in `folder` says of itself, by the configuration of the notebook."""
    target = folder.resolve()
    if not (origin.folder / FILE_NAME).is_file() and origin.folder.resolve() != target:
        origin = replace(origin, app=_app_name(program.name) or _app_name(target.name) or "app")
    return replace(origin, folder=target, entry_point=program.entry_point)


def _app_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text).strip("-")


def config_text(config: Config) -> str:
    """The configuration as a file."""
    import yaml

    pulumi: dict[str, Any] = {"default_stack": config.default_stack}
    if config.pulumi_home != _HOME:
        pulumi["pulumi_home"] = config.pulumi_home
    pulumi["stacks"] = [_stack(stack) for stack in config.stacks.values()]
    told: dict[str, Any] = {
        "app": config.app,
        "entry_point": config.entry_point,
        "pulumi_config": pulumi,
    }
    if config.provider != CloudProvider():
        told["cloud_provider_config"] = _provider(config.provider)
    if config.health is not None:
        limits = asdict(config.health).items()
        told["health"] = {name: value for name, value in limits if value is not None}
    if config.build_ignores:
        told["build_ignores"] = list(config.build_ignores)
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=1_000)


def _stack(stack: Stack) -> dict[str, str]:
    cloud = None if stack.assumed else stack.cloud  # what nobody has decided stays so, and is told
    told = {
        "name": stack.name,
        "backend_url": stack.backend_url,
        "cloud": cloud,
        "engine": stack.engine,
        "address": stack.address,
    }
    return {key: value for key, value in told.items() if value is not None}


def _provider(provider: CloudProvider) -> dict[str, Any]:
    options = {
        "aws_options": {"default_region": provider.aws_region},
        "azure_options": {"default_region": provider.azure_region},
        "gcp_options": {
            "default_project_id": provider.gcp_project,
            "default_region": provider.gcp_region,
            "default_zone": provider.gcp_zone,
        },
    }
    told = {
        name: {key: value for key, value in values.items() if value is not None}
        for name, values in options.items()
    }
    return {"default_cloud_provider": provider.default} | {k: v for k, v in told.items() if v}
