"""`import buildflow` gives this package, so that BuildFlow's own files run unchanged.

Only where the real BuildFlow is not installed, and only once this package is asked to (by
`%load_ext buildflow_nb` or the `buildflow` command). A module has one identity under both names:
`buildflow.io.aws` *is* `buildflow_nb.io.aws`, whichever was imported first and by whichever
thread. Modules that BuildFlow alone has (`old_paths.py`) hold the names that were imported from
there, and nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from buildflow_nb.core.old_paths import OLD_PATHS

__all__ = ("answer_to_buildflow",)

THEIRS, OURS = "buildflow", "buildflow_nb"
_BELOW = f"{THEIRS}."


def answer_to_buildflow() -> None:
    """Let `buildflow` and everything below it be imported from this package, from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Asked first, but gives way to a real module of that name.

    `buildflow` is this package, with its `__path__`: Python's own finder, asked before this one,
    would find the file of `buildflow.types` there and make a second module of it.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname == THEIRS:
            return None if self._is_real(path, target) else _alias(fullname)
        if not fullname.startswith(_BELOW) or sys.modules.get(THEIRS) is not sys.modules.get(OURS):
            return None
        below = fullname.removeprefix(_BELOW)
        if below in OLD_PATHS:
            return ModuleSpec(fullname, _OldPath(below), origin=OURS)
        found = _alias(fullname)
        if found is None and any(one.startswith(f"{below}.") for one in OLD_PATHS):
            return ModuleSpec(fullname, _OldPath(below), origin=OURS, is_package=True)
        return found

    def _is_real(self, path: Sequence[str] | None, target: ModuleType | None) -> bool:
        """Whether anybody else knows a `buildflow` with code; a mere folder of that name has none.

        A folder without `__init__.py` is a "namespace package" to Python (PEP 420).
        """
        for finder in tuple(sys.meta_path):
            find = None if isinstance(finder, _Finder) else getattr(finder, "find_spec", None)
            spec = None if find is None else find(THEIRS, path, target)
            if spec is not None:
                return spec.origin is not None
        return False


def _alias(fullname: str) -> ModuleSpec | None:
    """How to import what has this name here; `None` if nothing has."""
    ours = OURS + fullname.removeprefix(THEIRS)
    try:
        found = importlib.util.find_spec(ours)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{ours}.".startswith(f"{error.name}."):
            raise  # what one of our modules needs is missing
        return None
    return None if found is None else ModuleSpec(fullname, _Alias(ours), origin=OURS)


class _Alias(Loader):
    """Gives the module that is there under its own name."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._ours)
        own = module.__spec__
        # another thread may be between the two methods of this class, with the same module
        self._own = own.loader._own if own and isinstance(own.loader, _Alias) else own  # noqa: SLF001
        if not hasattr(module, "__path__"):  # or else nothing is looked for below it
            _put_old_paths(spec.name, module)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own  # which the import system has just overwritten


class _OldPath(Loader):
    """Makes a module of the names that BuildFlow had in one."""

    def __init__(self, below: str) -> None:
        self._below = below

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        for home, names in OLD_PATHS.get(self._below, {}).items():
            found = importlib.import_module(f"{OURS}.{home}" if home else OURS)
            for name in names.split():
                setattr(module, name, getattr(found, name))


def _put_old_paths(parent: str, module: ModuleType) -> None:
    """Make the modules that BuildFlow has below this one, which is a file here."""
    start = f"{parent.removeprefix(_BELOW)}."
    for below in OLD_PATHS:
        if below.startswith(start):
            spec = ModuleSpec(_BELOW + below, _OldPath(below), origin=OURS)
            made = importlib.util.module_from_spec(spec)
            _OldPath(below).exec_module(made)
            setattr(module, below.removeprefix(start), made)
            sys.modules[spec.name] = made
