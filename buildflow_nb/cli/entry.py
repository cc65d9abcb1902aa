"""Finds the flow that a project folder declares: `entry_point` of its buildflow.yaml.

`main:app` and `shop.main:app` name a module and a variable, `main.py` and `shop/main.py` a file
with one Flow in it. A folder without a buildflow.yaml is read as if it said `main:app`.

A module is loaded once and by one name: a file inside packages by its dotted one, so that what
imports it finds the same module. What an earlier load brought is forgotten first, and so is what a
load that fails has brought: nothing stale is ever found. The folder stays on `sys.path`, as it does
for `python main.py`, for imports that a function makes later.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from buildflow_nb.core.config import FILE_NAME, find_config
from buildflow_nb.core.errors import BuildFlowError, ConfigError, InfraError
from buildflow_nb.core.surroundings import BEING_LOADED
from buildflow_nb.flow import Flow

__all__ = ("ProgramError", "flow_asked", "load_flow")

DEFAULT = "main:app"
_BROUGHT: set[str] = set()  # modules of projects, by name
_PATHS: list[str] = []  # what stands on sys.path for them


class ProgramError(InfraError):
    """The project's own code fails when it is loaded; `text` is its part of the traceback."""


def load_flow(folder: Path, entry: str | None = None) -> Flow:
    """Import the project's module and give its flow; `entry` stands in for its entry_point.

    Raises:
        ConfigError: there is no such module, no Flow in it, or two, or it runs by itself.
        ProgramError: the module itself fails; says where.
    """
    config = find_config(folder)
    told = f"--app {entry!r}" if entry else f"entry_point {config.entry_point or DEFAULT!r}"
    entry = entry or config.entry_point or DEFAULT
    module_name, colon, variable = entry.partition(":")
    if not _is_module(module_name) or (colon and not variable.isidentifier()):
        msg = f"{told} must be module:name, like main:app, or a file, like main.py"
        raise ConfigError(msg)
    roots, name = _place(module_name, config.folder)
    module = _imported(name, roots, config.folder, told)
    return _declared(module, name, variable, told)


def _declared(module: ModuleType, name: str, variable: str, told: str) -> Flow:
    """The flow that a variable of a module is; without one, the only Flow that is in it."""
    where, flows = module.__file__ or name, _flows(module)
    if variable:
        found = getattr(module, variable, None)
        if isinstance(found, Flow):
            return found
        holds = ", ".join(flows)
        hint = f"; it holds the Flow {holds}" if holds else "; declare one: app = Flow()"
        msg = f"{told}: {variable} of {where} is no Flow{hint}"
        raise ConfigError(msg)
    if len(set(map(id, flows.values()))) != 1:
        names = ", ".join(flows) or "none"
        which = f"; name one as {name}:{next(iter(flows))}" if flows else "; declare app = Flow()"
        msg = f"{told}: {where} must hold one Flow, it holds: {names}{which}"
        raise ConfigError(msg)
    return next(iter(flows.values()))


def _is_module(name: str) -> bool:
    """Whether it is a file, or names of packages and a module: no dots before them or doubled."""
    if "\0" in name:
        return False
    parts = [name] if name.endswith(".py") else name.replace("/", ".").split(".")
    return all(part.strip() for part in parts)


def _flows(module: ModuleType) -> dict[str, Flow]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Flow)}


def _place(name: str, folder: Path) -> tuple[tuple[Path, ...], str]:
    """Where to import from, and by which name: that of a file is dotted below the project.

    A file finds its neighbours by their plain names, too, as a script does.
    """
    if not name.endswith(".py"):
        return (folder,), name.replace("/", ".")
    path = (folder / name).resolve()
    root = folder.resolve()
    if not path.is_relative_to(root):
        return (path.parent,), path.stem
    dotted = ".".join(path.relative_to(root).with_suffix("").parts)
    is_script = path.parent != root and not (path.parent / "__init__.py").is_file()
    return ((folder, path.parent) if is_script else (folder,)), dotted


def _imported(name: str, roots: tuple[Path, ...], folder: Path, told: str) -> ModuleType:
    with _loading(name, roots, folder):
        loading = BEING_LOADED.set(True)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise _broken(error, folder) from error  # it is there; what it imports is not
            cure = f"set entry_point in {FILE_NAME}, or write a project by buildflow init"
            if told.startswith("--app"):
                cure = "give module:name, or a file"
            msg = f"no module {name!r} in {roots[0]}, which {told} names; {cure}"
            raise ConfigError(msg) from error
        except BuildFlowError as error:
            raise _told_where(error, folder) from error
        except SystemExit as error:
            raise _broken(error, folder) from error
        except Exception as error:  # whatever the user's module raises
            raise _broken(error, folder) from error
        finally:
            BEING_LOADED.reset(loading)


@contextmanager
def _loading(name: str, roots: tuple[Path, ...], folder: Path) -> Iterator[None]:
    """Let nothing that is loaded already be taken for the project's; drop what a failure leaves."""
    _forget()
    head, root = name.partition(".")[0], roots[0]
    if (root / f"{head}.py").is_file() or (root / head).is_dir():
        for known in [key for key in sys.modules if key == head or key.startswith(f"{head}.")]:
            if not _is_of(sys.modules[known], root):
                del sys.modules[known]  # another project's of that name
    before = set(sys.modules)
    _PATHS.extend(map(str, roots))
    sys.path[:0] = _PATHS
    importlib.invalidate_caches()  # a file may have been written a moment ago
    try:
        yield
    except BaseException:
        _note(before, root, folder)
        _forget()
        raise
    _note(before, root, folder)


def _note(before: set[str], root: Path, folder: Path) -> None:
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if _is_of(module, root) or _is_of(module, folder):
            _BROUGHT.add(name)


def _forget() -> None:
    for name in _BROUGHT:
        sys.modules.pop(name, None)
    for path in _PATHS:
        if path in sys.path:
            sys.path.remove(path)
    _BROUGHT.clear()
    _PATHS.clear()


def _is_of(module: ModuleType, folder: Path) -> bool:
    """Whether a module is the project's own, not a package installed below its folder."""
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", []))
    return any(
        Path(place).is_relative_to(folder) and "site-packages" not in Path(place).parts
        for place in places
    )


def _told_where(error: BuildFlowError, folder: Path) -> BuildFlowError:
    """A declaration that was refused, with its line."""
    own = _own_frames(error, folder)
    if own and not isinstance(error, ProgramError):
        text = f"{_line(own[-1], folder)}: {error}"
        return type(error)(text) if type(error).__init__ is BuildFlowError.__init__ else error
    return error


def _broken(error: BaseException, folder: Path) -> ProgramError:
    """What a module of the project raised, where it did; its traceback begins in the project."""
    own = _own_frames(error, folder)
    where = _line(own[-1], folder) if own else str(folder)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{_short(error.filename, folder)} line {error.lineno}"
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SystemExit):
        said = "the program ends itself when it is imported; guard that by `if __name__ == ...`"
    shown = ["Traceback (most recent call last):\n", *traceback.format_list(own)] if own else []
    text = "".join([*shown, *traceback.format_exception_only(error)]).rstrip()
    return ProgramError(f"{where}: {said}", text)


def _own_frames(error: BaseException, folder: Path) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(folder)
        and "site-packages" not in Path(frame.filename).parts
    ]


def _line(frame: traceback.FrameSummary, folder: Path) -> str:
    return f"{_short(frame.filename, folder)} line {frame.lineno}"


def _short(filename: str, folder: Path) -> str:
    path = Path(filename)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else filename


def flow_asked(values: Mapping[str, Any]) -> Flow:
    """The flow, on the stack that is asked for.

    Raises:
        ConfigError: there is no such flow, or no such stack.
        ProgramError: the project's own code fails when it is loaded.
    """
    return load_flow(Path.cwd(), values["app"]).on(values["stack"])
