"""Modules that came with what was sent: kept, and imported from here like any others."""

from __future__ import annotations

import importlib.machinery
import sys
import threading
from collections.abc import Iterable, Sequence
from copy import deepcopy
from importlib.abc import InspectLoader, MetaPathFinder
from types import CodeType, ModuleType
from typing import Any

from buildflow_nb.core.surroundings import BEING_LOADED
from buildflow_nb.runtime.shipping.sources import Source

__all__ = ("take",)


class _Arrived(MetaPathFinder, InspectLoader):
    """Finds them before all others, and runs them for their declarations alone."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._lock = threading.RLock()

    def take(self, sources: Iterable[Source], *, only_new: bool) -> None:
        """Keep these, or those that are `only_new`: what was imported of others is imported again.

        Values are set that have changed since they came last; what code here has made of the others
        stays. A module that this process has from a file of its own stays as it is.
        """
        with self._lock:
            news = [one for one in sources if not self._is_own(one.name)]
            if only_new:
                news = [one for one in news if one.name not in self._sources]
            before = dict(self._sources)
            changed = {one.name for one in news if self._text_of(one.name) not in (None, one.text)}
            self._sources |= {one.name: one for one in news}
            while more := self._users(changed):
                changed |= more
            for name in changed:
                sys.modules.pop(name, None)
            for one in news:
                if (module := sys.modules.get(one.name)) is not None:
                    old = before[one.name].values if one.name in before else {}
                    _set(
                        module, {k: v for k, v in one.values.items() if k not in old or v != old[k]}
                    )

    def _is_own(self, name: str) -> bool:
        module = sys.modules.get(name)
        return module is not None and getattr(module, "__loader__", None) is not self

    def _text_of(self, name: str) -> str | None:
        found = self._sources.get(name)
        return None if found is None else found.text

    def _users(self, changed: set[str]) -> set[str]:
        users = {name for name, one in self._sources.items() if changed & set(one.needs)}
        return users - changed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is one of them."""
        del path, target
        found = self._sources.get(fullname)
        if found is None:
            return None
        return importlib.machinery.ModuleSpec(
            fullname, self, origin=found.path, is_package=found.is_package
        )

    def get_source(self, fullname: str) -> str:
        """Its text, for tracebacks."""
        return self._sources[fullname].text

    def is_package(self, fullname: str) -> bool:
        """Whether it may have modules inside."""
        return self._sources[fullname].is_package

    def get_code(self, fullname: str) -> CodeType:
        """Its code."""
        found = self._sources[fullname]
        code: CodeType = compile(found.text, found.path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run it, and give it the values that it had where it came from."""
        found = self._sources[module.__name__]
        module.__file__ = found.path
        loading = BEING_LOADED.set(True)
        try:
            exec(self.get_code(module.__name__), vars(module))  # noqa: S102  (our own bytes)
        finally:
            BEING_LOADED.reset(loading)
        _set(module, found.values)


def _set(module: ModuleType, values: dict[str, Any]) -> None:
    names = vars(module)
    for name, value in values.items():
        there = names.get(name)
        if type(there) is type(value) and there == value:
            continue
        if type(there) is type(value) and isinstance(there, (dict, list, set)):
            _refill(there, value)  # others may hold it, too
        else:
            names[name] = deepcopy(value)  # code here may change it, and ours tells what came


def _refill(there: Any, value: Any) -> None:
    value = deepcopy(value)
    there.clear()
    (there.extend if isinstance(there, list) else there.update)(value)


_arrived = _Arrived()


def take(sources: Iterable[Source], *, only_new: bool) -> None:
    """Let these modules be imported from now on; those that are `only_new`, if it is so."""
    if _arrived not in sys.meta_path:
        sys.meta_path.insert(0, _arrived)
    _arrived.take(sources, only_new=only_new)
