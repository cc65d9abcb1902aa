"""One statement of a cell: its text as it was typed, what it is, and where it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeGuard

from buildflow_nb.export.cells.effects import DELETES, Effects, decorators_of
from buildflow_nb.export.cells.names import Names, names_of

__all__ = ("APP", "Statement")

APP = "app"  # the kernel's flow is whatever this name is bound to
_PROCESSORS = ("consumer", "collector", "endpoint")
_AROUND = (
    "on_startup",
    "on_shutdown",
    "exception_handler",
    "add_exception_handler",
    "middleware",
    "add_middleware",
)
_DECLARING = frozenset(
    (*_PROCESSORS, *_AROUND, "service", "manage", "add_consumer", "add_collector", "add_service")
)
_ADDING = ("add_consumer", "add_collector", "add_endpoint")
_SHELL = "get_ipython"
_WAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith)


@dataclass(frozen=True)
class Statement(Effects):
    """A statement of the cell number `cell`, which was the kernel's `run`th when it ran last.

    `code` is its text, with comment lines `above` and `below` it and `gap` blank lines before it;
    `shift` makes a line of `node` a line of the cell, and `at` is its place in the cell. `keep`
    says that a person asked for it; `source` is the whole cell as it was typed; `about` are
    comments above an import that are not its own; `removed` says that it declared a processor that
    was taken out; `last` that its cell ends with it. What is known of it is worked out once.
    """

    cell: int
    run: int
    label: str
    shift: int
    code: str
    node: ast.stmt
    names: Names
    at: int = 0
    section: int = 0
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    gap: int = 0
    keep: bool = False
    source: str = ""
    about: tuple[str, ...] = ()
    removed: bool = False
    last: bool = False

    def with_code(self, code: str) -> Statement:
        """The same place with another text, which is one statement."""
        (node,) = ast.parse(code).body
        first = min([self.node.lineno, *(d.lineno for d in decorators_of(self.node))])
        return replace(
            self, code=code, node=node, names=names_of(node, code), shift=self.shift + first - 1
        )

    def line(self, node: ast.AST | None = None) -> int:
        """The line in its cell, of the statement or of a part of it."""
        at = getattr(node, "lineno", None) or self.node.lineno
        return max(1, at + self.shift)

    @property
    def typed(self) -> str:
        """Its text as it stands in the cell, where that is no Python."""
        if not self.is_magic:
            return self.code
        lines = self.source.split("\n")
        return lines[min(self.line(), len(lines)) - 1]

    def where(self, node: ast.AST | None = None) -> str:
        """Where it stands, for a message."""
        return f"{self.label} line {self.line(node)}"

    def name(self, name: str) -> ast.AST:
        """Where in it a name is first used."""
        uses = [n for n in self.parts if isinstance(n, ast.Name) and n.id == name]
        return min(uses, key=lambda use: use.lineno, default=self.node)

    @cached_property
    def is_magic(self) -> bool:
        """Whether it holds a magic or a command, which need a notebook."""
        return _SHELL in self.names.now | self.names.later

    @cached_property
    def is_import(self) -> bool:
        """Whether it imports."""
        return isinstance(self.node, (ast.Import, ast.ImportFrom))

    @cached_property
    def declares(self) -> bool:
        """Whether it makes the flow, or adds to it."""
        return APP in self.names.bound or any(method in _DECLARING for method in self.flow_methods)

    @cached_property
    def adds(self) -> bool:
        """Whether it adds to the flow, or takes a flow that others have made."""
        value = getattr(self.node, "value", None)
        empty = isinstance(value, ast.Call) and ast.unparse(value.func).endswith("Flow")
        return any(method in _DECLARING for method in self.flow_methods) or (
            APP in self.names.bound and not empty
        )

    @cached_property
    def commands(self) -> bool:
        """Whether it runs, sends or deploys: what a program does under `__main__`, if at all."""
        return any(method not in _DECLARING for method in self.flow_methods)

    @cached_property
    def flow_methods(self) -> tuple[str, ...]:
        """The methods of the flow that it calls, also as decorators without arguments."""
        found = [call.func.attr for call in self._flow_calls if _is_attribute(call.func)]
        found += [
            decorator.attr
            for decorator in decorators_of(self.node)
            if _is_attribute(decorator) and _is_name(decorator.value, APP)
        ]
        return tuple(found)

    @cached_property
    def declares_later(self) -> bool:
        """Whether a function of it adds to the flow when it is called."""
        if not self.is_block:
            return False
        now = {id(call) for call in self._flow_calls}
        calls = (call for call in _flow_calls(self.parts) if id(call) not in now)
        return any(_is_attribute(call.func) and call.func.attr in _DECLARING for call in calls)

    @cached_property
    def _flow_calls(self) -> list[ast.Call]:
        return list(_flow_calls(self.at_once))

    @cached_property
    def processors(self) -> tuple[str, ...]:
        """The processors that it declares, by their ids."""
        found = [
            getattr(self.node, "name", "")
            for decorator in decorators_of(self.node)
            if isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr in _PROCESSORS
        ]
        for call in self._flow_calls:
            adds = isinstance(call.func, ast.Attribute) and call.func.attr in _ADDING
            first = call.args[0] if adds and call.args else None
            found += [first.id] if isinstance(first, ast.Name) else []
        return tuple(dict.fromkeys(found))

    @cached_property
    def removes(self) -> tuple[str, ...]:
        """The processors that it takes out of the flow: `app.remove("price")`."""
        return tuple(
            str(call.args[0].value)
            for call in self._flow_calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == "remove"
            and call.args
            and isinstance(call.args[0], ast.Constant)
        )

    def undeclared(self) -> Statement:
        """The same without declaring a processor; nothing at all, where it does that alone."""
        if not self.is_block:
            return self.with_code("pass")
        lines = self.code.split("\n")
        first = min([self.node.lineno, *(d.lineno for d in decorators_of(self.node))])
        for decorator in reversed(decorators_of(self.node)):
            called = decorator.func if isinstance(decorator, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in _PROCESSORS:
                end = decorator.end_lineno or decorator.lineno
                del lines[decorator.lineno - first : end - first + 1]
        return self.with_code("\n".join(lines))

    @cached_property
    def magics(self) -> tuple[tuple[str, str], ...]:
        """Line magics in it: `("buildflow", "run --port 0")`."""
        found = [
            tuple(a.value for a in node.args if isinstance(a, ast.Constant))
            for node in (ast.walk(self.node) if self.is_magic else ())
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "run_line_magic"
        ]
        return tuple((str(f[0]), str(f[1])) for f in found if len(f) == 2)  # noqa: PLR2004

    @cached_property
    def awaits(self) -> ast.AST | None:
        """An `await` outside of any function, if there is one."""
        for node in self.at_once:
            if isinstance(node, _WAITING) or _is_async_comprehension(node):
                return node if hasattr(node, "lineno") else self.node
        return None

    @cached_property
    def search_path(self) -> str | None:
        """The folder that it adds to `sys.path`, where it is written out."""
        call = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return None
        folder = call.args[-1] if call.args else None
        added = ast.unparse(call.func) in ("sys.path.insert", "sys.path.append")
        text = folder.value if added and isinstance(folder, ast.Constant) else None
        return text if isinstance(text, str) and "\0" not in text else None

    @cached_property
    def deletes(self) -> bool:
        """Whether it deletes files: to begin anew, which a program must not do at every start."""
        nodes = [] if self.is_block else self.parts
        called = [node.func for node in nodes if isinstance(node, ast.Call)]
        return any(isinstance(f, ast.Attribute) and f.attr in DELETES for f in called)

    @cached_property
    def is_block(self) -> bool:
        """Whether it is a function or a class."""
        return isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _flow_calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        if isinstance(node, ast.Call) and _is_attribute(node.func):
            yield from [node] if _is_name(node.func.value, APP) else []


def _is_attribute(node: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute)


def _is_async_comprehension(node: ast.AST) -> bool:
    return isinstance(node, ast.comprehension) and bool(node.is_async)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
