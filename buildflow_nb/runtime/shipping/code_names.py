"""What code names: globals, with the lines on which it does, and modules that it imports."""

from __future__ import annotations

import dis
import types
from collections import deque
from collections.abc import Iterator

__all__ = ("globals_of", "imports_of", "lines_of")

_CLOSED = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_CLOSURE", "LOAD_FROM_DICT_OR_DEREF")
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


def globals_of(code: types.CodeType) -> dict[str, int]:
    """The globals that code reads, and that of functions inside of it, with the first line."""
    return _lines(code, _GLOBAL)


def lines_of(code: types.CodeType) -> dict[str, int]:
    """The same, and names of functions around it."""
    return _lines(code, (*_GLOBAL, *_CLOSED))


def imports_of(code: types.CodeType, package: str = "") -> set[str]:
    """The modules that code in a package imports when it runs, and what of them may be modules."""
    found = set()
    for inner in _codes(code):
        module, before = "", deque[object](maxlen=2)  # the level, and the names that are wanted
        for step in dis.get_instructions(inner):
            if step.opname == "IMPORT_NAME":
                module = _absolute(str(step.argval), before[0], package)
                found.add(module)
            elif step.opname == "IMPORT_FROM":
                found.add(f"{module}.{step.argval}")
            elif step.opname != "EXTENDED_ARG":
                before.append(step.argval)
    return found


def _absolute(name: str, level: object, package: str) -> str:
    """A module's name, without the dots that stood before it."""
    if not isinstance(level, int) or not level:
        return name
    parts = package.split(".")
    return ".".join(filter(None, [*parts[: len(parts) - level + 1], name]))


def _lines(code: types.CodeType, kinds: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for inner in _codes(code):
        for step in dis.get_instructions(inner):
            if step.opname in kinds:
                line = step.positions.lineno if step.positions else None
                found.setdefault(str(step.argval), line or inner.co_firstlineno)
    return found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
