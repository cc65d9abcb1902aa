"""Finds the flow that a project folder declares: `entry_point` of its buildflow.yaml.

`main:app` names a module and a variable, `main.py` a file with one Flow in it. A folder without a
buildflow.yaml is read as if it said `main:app`.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from buildflow_nb.core.config import FILE_NAME, find_config
from buildflow_nb.core.errors import BuildFlowError, ConfigError, InfraError
from buildflow_nb.flow import Flow

__all__ = ("load_flow",)

DEFAULT = "main:app"


def load_flow(folder: Path) -> Flow:
    """Import the project's module and give its flow.

    Raises:
        ConfigError: there is no such module, or no Flow in it.
        InfraError: the module itself fails; says where.
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
            raise _broken(error, folder) from error  # it is there; what it imports is not
        msg = f"no module {name!r} in {folder}; set entry_point in {FILE_NAME} (it is {entry!r})"
        raise ConfigError(msg) from error
    except BuildFlowError:
        raise
    except Exception as error:  # whatever the user's module raises
        raise _broken(error, folder) from error
    finally:
        sys.path.remove(str(folder))


def _broken(error: Exception, folder: Path) -> InfraError:
    """What a module of the project raised, where it did; its traceback begins in the project."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    if isinstance(error, SyntaxError):
        where = f"{error.filename} line {error.lineno}"
    else:
        where = f"{own[-1].filename} line {own[-1].lineno}" if own else str(folder)
    text = "".join([*traceback.format_list(own), *traceback.format_exception_only(error)])
    return InfraError(f"{where}: {type(error).__name__}: {error}", text)
