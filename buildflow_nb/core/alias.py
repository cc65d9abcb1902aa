"""`import buildflow` gives this package, so that BuildFlow's own files run unchanged.

Only where the real BuildFlow is not installed, and only once this package is asked to (by
`%load_ext buildflow_nb` or the `buildflow` command). A module has one identity under both names:
`buildflow.io.aws` *is* `buildflow_nb.io.aws`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ("answer_to_buildflow",)

THEIRS, OURS = "buildflow", "buildflow_nb"


def answer_to_buildflow() -> None:
    """Let `buildflow` and everything below it be imported from this package, from now on."""
    known = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if known or THEIRS in sys.modules or importlib.util.find_spec(THEIRS) is not None:
        return
    sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder):
    """Asked last, so that a real module of that name always wins."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != THEIRS and not fullname.startswith(f"{THEIRS}."):
            return None
        ours = OURS + fullname.removeprefix(THEIRS)
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError:
            found = None
        return None if found is None else ModuleSpec(fullname, _Loader(ours))


class _Loader(Loader):
    """Gives the module that is there under its own name."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        module = importlib.import_module(self._ours)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # which the import system has just overwritten
