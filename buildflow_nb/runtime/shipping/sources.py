"""Modules beside the notebook: their sources, and what of their values may have been changed.

A module that lies under the notebook's folder and is not installed goes as its source, with the
packages that it is in and whatever else of the folder these import. Over there it is run once and
is a module like any other (`arrived.py`), so its classes are themselves in both places, and what
cannot be sent (a lock, a client) is simply made again. The values at its top that are plain data
(numbers, texts, and containers of these) are then set to what they are here at that moment. As its
source counts what the file says when it is sent.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buildflow_nb.runtime.shipping.code_names import imports_of

__all__ = ("Source", "sources_of")

_OURS = __name__.partition(".")[0]
_INSTALLED = tuple({Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")})
_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_MOST = 10_000  # values in one container of a module that are sent


@dataclass(frozen=True, slots=True)
class Source:
    """A module as it is sent; `needs` are those sent with it that it imports."""

    name: str
    text: str
    path: str
    is_package: bool
    needs: tuple[str, ...]
    values: dict[str, Any]


def sources_of(names: set[str], folder: Path) -> list[Source]:
    """Those of these modules that lie under a folder, with what of it they import."""
    folder = folder.resolve()
    roots = _roots(folder)
    found: dict[str, Source] = {}
    waiting = sorted(name for one in names for name in _with_parents(one))
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] in (_OURS, "__main__"):
            continue
        path = _path_of(name, folder, roots)
        if path is None:
            continue
        is_package = path.name == "__init__.py" or path.is_dir()
        text = "" if path.is_dir() else importlib.util.decode_source(path.read_bytes())
        package = name if is_package else name.rpartition(".")[0]
        needs = [each for one in _imports(text, package) for each in _with_parents(one)]
        values = _values(vars(sys.modules[name])) if name in sys.modules else {}
        found[name] = Source(name, text, str(path), is_package, tuple(needs), values)
        waiting += needs
    return [found[name] for name in sorted(found)]


def _roots(folder: Path) -> list[str]:
    """The folders under this one from which modules are imported."""
    paths = [Path(path or ".").resolve() for path in sys.path]
    return [str(path) for path in dict.fromkeys(paths) if _is_beside(path, folder)]


def _is_beside(path: Path, folder: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return path.is_relative_to(folder) and not any(map(path.is_relative_to, _INSTALLED))


def _path_of(name: str, folder: Path, roots: list[str]) -> Path | None:
    """The file of a module under the folder; a folder itself where a package has no file."""
    module = sys.modules.get(name)
    if module is not None:
        file, places = getattr(module, "__file__", None), list(getattr(module, "__path__", ()))
    else:
        file, places = _found(name, roots)
    path = Path(file).resolve() if file else Path(places[0]).resolve() if places else None
    if path is None or not _is_beside(path, folder):
        return None
    return path if path.suffix == ".py" or path.is_dir() else None


def _found(name: str, roots: list[str]) -> tuple[str | None, list[str]]:
    """The file or the folders of a module that was not imported yet."""
    places, found = roots, None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        found = importlib.machinery.PathFinder.find_spec(".".join(parts[:end]), places)
        if found is None:
            return None, []
        places = list(found.submodule_search_locations or ())
    return (None, places) if found is None or found.origin is None else (found.origin, places)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _imports(text: str, package: str) -> set[str]:
    """The modules that a source imports, and what of them may be modules, too.

    Read from its code: of two threads that make a tree of some text at the same time, one may meet
    a SystemError (https://github.com/python/cpython/issues/106905).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(text, package, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # it will be said when it is imported
    return imports_of(code, package)


def _values(names: dict[str, Any]) -> dict[str, Any]:
    """What of a module's values is plain data."""
    return {
        name: value
        for name, value in names.items()
        if not (name.startswith("__") and name.endswith("__")) and _is_plain(value, [_MOST])
    }


def _is_plain(value: object, left: list[int]) -> bool:
    left[0] -= 1
    if left[0] < 0 or type(value) in _SCALARS:
        return left[0] >= 0
    if type(value) is dict:
        return all(_is_plain(k, left) and _is_plain(v, left) for k, v in value.items())
    if isinstance(value, (list, tuple, set, frozenset)) and type(value).__module__ == "builtins":
        return all(_is_plain(one, left) for one in value)
    return False
