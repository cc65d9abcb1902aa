"""Finds the flow that a project folder declares: `entry_point` of its buildflow.yaml.

`main:app` names a module and a variable, `main.py` a file with one Flow in it. A folder without a
buildflow.yaml is read as if it said `main:app`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from buildflow_nb.core.config import FILE_NAME, find_config
from buildflow_nb.core.errors import ConfigError
from buildflow_nb.flow import Flow

__all__ = ("load_flow",)

DEFAULT = "main:app"


def load_flow(folder: Path) -> Flow:
    """Import the project's module and give its flow.

    Raises:
        ConfigError: there is no such module, or no Flow in it.
    """
    config = find_config(folder)
    entry = config.entry_point or DEFAULT
    name, _, variable = entry.partition(":")
    module = _imported(name.removesuffix(".py").replace("/", "."), config.folder, entry)
    if variable:
        found = getattr(module, variable, None)
        if not isinstance(found, Flow):
            msg = f"entry_point {entry!r}: {variable} of {module.__file__} is no Flow"
            raise ConfigError(msg)
        return found
    flows = {name: value for name, value in vars(module).items() if isinstance(value, Flow)}
    if len(set(map(id, flows.values()))) != 1:
        names = ", ".join(flows) or "none"
        msg = f"entry_point {entry!r}: {module.__file__} must hold one Flow, it holds: {names}"
        raise ConfigError(msg)
    return next(iter(flows.values()))


def _imported(name: str, folder: Path, entry: str) -> ModuleType:
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise  # the user's module is there; something that it imports is not
        msg = f"no module {name!r} in {folder}; set entry_point in {FILE_NAME} (it is {entry!r})"
        raise ConfigError(msg) from error
    finally:
        sys.path.remove(str(folder))
