"""The flow that a command works on: the project's, or the one that `--app` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.cli.entry import load_flow
from buildflow_nb.flow import Flow

__all__ = ("flow_asked",)


def flow_asked(values: Mapping[str, Any]) -> Flow:
    """The flow, on the stack that is asked for.

    Raises:
        ConfigError: there is no such flow, or no such stack.
        ProgramError: the project's own code fails when it is loaded.
    """
    return load_flow(Path.cwd(), values["app"]).on(values["stack"])
