"""What code and magics set beside names: the environment, the working folder, files.

Whatever `os` and its parts are called there: `import os as system`, `from os import environ as e`.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from buildflow_nb.core.python_text import parse_python

__all__ = ("Setting", "names_of_os", "settings_of_code", "settings_of_magic")

_ENV = ("env", "set_env")
_FOLDERS = ("cd", "pushd", "popd")
_DOTENV = ("dotenv", "load_dotenv")
_FILES = ("writefile", "file")
_WRAPPED = ("time", "timeit", "prun", "capture", "memit", "lprun")  # run the Python behind them
_NAME = re.compile(r"\s*([A-Za-z_]\w*)(?:\s*=|\s+\S)")
_CHANGES = ("os.environ.setdefault", "os.putenv", "os.environ.__setitem__")
_REMOVES = ("os.environ.pop", "os.unsetenv", "os.environ.__delitem__")
_MODULES = ("os", "dotenv", "contextlib")
_WRITES = ("write", "w", "to_", "save", "dump", "copy", "move", "rename", "download", "retrieve")


@dataclass(frozen=True, slots=True)
class Setting:
    """What one magic or call sets: variables by name (None: some, unknown), the folder, files."""

    words: str
    variables: frozenset[str] | None = frozenset()
    folder: bool = False
    files: frozenset[str] = frozenset()


def names_of_os(nodes: Iterable[ast.AST]) -> Mapping[str, str]:
    """What names stand for: `e` for `os.environ`."""
    found = {name: name for name in _MODULES} | {"chdir": "os.chdir", "load_dotenv": "load_dotenv"}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.asname: a.name for a in node.names if a.asname and a.name in _MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module in _MODULES:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def settings_of_magic(magic: str, line: str, names: Mapping[str, str]) -> Iterator[Setting]:
    """What a line magic sets, or the first line of a cell's."""
    if magic in _ENV:
        found = _NAME.match(line)
        if found:  # without a value it only shows one
            yield Setting(f"%{magic}", frozenset((found[1],)))
    elif magic in _FOLDERS:
        yield Setting(f"%{magic}", folder=True)
    elif magic in _DOTENV:
        yield Setting(f"%{magic}", None)
    elif magic in _FILES:
        yield Setting(f"%%{magic}", files=frozenset(_words(line)[-1:]))
    elif magic in _WRAPPED:
        try:
            nodes = list(ast.walk(parse_python(line.strip())))
        except SyntaxError:
            return
        yield from settings_of_code(nodes, names)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def settings_of_code(nodes: Sequence[ast.AST], names: Mapping[str, str]) -> Iterator[Setting]:
    """What code sets that runs when its cell does."""
    for node in nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            if _called(node.value, names) == "os.environ":
                yield Setting("os.environ", _constant(node.slice))
        elif isinstance(node, ast.AugAssign) and _called(node.target, names) == "os.environ":
            yield Setting("os.environ", _keys([node.value], []))
        elif isinstance(node, ast.Call):
            yield from _of_call(node, _called(node.func, names))


def _of_call(node: ast.Call, called: str) -> Iterator[Setting]:
    if called in (*_CHANGES, *_REMOVES) and node.args:
        yield Setting(called, _constant(node.args[0]))
    elif called == "os.environ.update":
        yield Setting(called, _keys(node.args, node.keywords))
    elif called == "os.environ.clear" or called.removeprefix("dotenv.") == "load_dotenv":
        yield Setting(called, None)
    elif called in ("os.chdir", "os.fchdir", "contextlib.chdir"):
        yield Setting(called, folder=True)
    else:
        written = frozenset(_files(node))
        if written:
            yield Setting("a call", files=written)


def _files(call: ast.Call) -> Iterator[str]:
    """Texts that a call which writes is given, or is made of: `Path("x.csv").write_text(…)`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    mode = [a.value for a in (*call.args[1:2], *(w.value for w in call.keywords if w.arg == "mode"))
            if isinstance(a, ast.Constant) and isinstance(a.value, str)]  # fmt: skip
    writes = any(set(text) & set("wax") and len(text) < 4 for text in mode)  # noqa: PLR2004
    if not (name.startswith(_WRITES) or (name == "open" and writes)):
        return
    receiver = [call.func.value] if isinstance(call.func, ast.Attribute) else []
    for part in (*receiver, *call.args, *(word.value for word in call.keywords)):
        for node in ast.walk(part):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _called(node: ast.expr, names: Mapping[str, str]) -> str:
    """A dotted name, as `os` itself would have it."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _constant(node: ast.expr) -> frozenset[str] | None:
    known = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return frozenset((node.value,)) if known else None  # type: ignore[attr-defined]


def _keys(given: Sequence[ast.expr], words: Sequence[ast.keyword]) -> frozenset[str] | None:
    found = {word.arg for word in words if word.arg}
    for one in given:
        if not isinstance(one, ast.Dict):
            return None
        for key in one.keys:
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            found.add(key.value)
    return frozenset(found)
