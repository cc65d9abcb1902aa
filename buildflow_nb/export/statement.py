"""One statement of a cell: its text as it was typed, what it is, and where it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from buildflow_nb.export.names import Names, root_of

__all__ = ("APP", "Statement")

APP = "app"  # the kernel's flow is whatever this name is bound to
_PROCESSORS = ("consumer", "collector", "endpoint")
_DECLARING = frozenset(
    (*_PROCESSORS, "service", "manage", "add_consumer", "add_collector", "add_service")
)
_DELETES = frozenset(("unlink", "rmdir", "rmtree"))
_STAY = _DELETES | {"sleep"}  # called for a person's sake
_SHELL = "get_ipython"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_WAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of the cell number `cell`, which was the kernel's `run`th when it ran last.

    `shift` makes a line of `node` a line of the cell.
    """

    cell: int
    run: int
    label: str
    shift: int
    text: str
    node: ast.stmt
    names: Names

    def line(self, node: ast.AST | None = None) -> int:
        """The line in its cell, of the statement or of a part of it."""
        at = getattr(node, "lineno", None) or self.node.lineno
        return max(1, at + self.shift)

    def where(self, node: ast.AST | None = None) -> str:
        """Where it stands, for a message."""
        return f"{self.label} line {self.line(node)}"

    def name(self, name: str) -> ast.AST:
        """Where in it a name is first used."""
        uses = [n for n in ast.walk(self.node) if isinstance(n, ast.Name) and n.id == name]
        return min(uses, key=lambda use: use.lineno, default=self.node)

    @property
    def is_magic(self) -> bool:
        """Whether it holds a magic or a command, which need a notebook."""
        return _SHELL in self.names.now | self.names.later

    @property
    def is_import(self) -> bool:
        """Whether it imports."""
        return isinstance(self.node, (ast.Import, ast.ImportFrom))

    @property
    def declares(self) -> bool:
        """Whether it makes the flow, or adds to it."""
        return APP in self.names.bound or any(
            method in _DECLARING for method in self.flow_methods()
        )

    @property
    def commands(self) -> bool:
        """Whether it runs, sends or deploys: what a program does under `__main__`, if at all."""
        return any(method not in _DECLARING for method in self.flow_methods())

    def flow_methods(self) -> Iterator[str]:
        """The methods of the flow that it calls."""
        for node in ast.walk(self.node):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and _is_name(called.value, APP):
                yield called.attr

    def awaits(self) -> ast.AST | None:
        """An `await` outside of any function, if there is one."""
        open_: list[ast.AST] = [self.node]
        while open_:
            node = open_.pop()
            if isinstance(node, _WAITING) or _is_async_comprehension(node):
                return node if hasattr(node, "lineno") else self.node
            if not isinstance(node, _FUNCTIONS):
                open_.extend(ast.iter_child_nodes(node))
            else:  # defaults and decorators belong to the module
                open_.extend(getattr(node, "decorator_list", []))
                open_.extend(d for d in (*node.args.defaults, *node.args.kw_defaults) if d)
        return None

    def decorator_roots(self) -> Iterator[str]:
        """The names that its decorators start from."""
        return _roots(getattr(self.node, "decorator_list", []))

    def changes(self) -> frozenset[str]:
        """Names whose values it changes without binding them: `d` in `d["k"] = 1`."""
        return frozenset(_roots(self._changed()))

    def calls(self) -> str:
        """The name that it calls a method of, for its effect alone: `logging` in `logging.f()`."""
        value = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
            return ""
        return "" if value.func.attr in _STAY else next(_roots([value.func]), "")

    @property
    def deletes(self) -> bool:
        """Whether it deletes files: to begin anew, which a program must not do at every start."""
        nodes = [] if self.is_block else list(ast.walk(self.node))
        called = [node.func for node in nodes if isinstance(node, ast.Call)]
        return any(isinstance(f, ast.Attribute) and f.attr in _DELETES for f in called)

    @property
    def is_block(self) -> bool:
        """Whether it is a function or a class."""
        return isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))

    def _changed(self) -> Iterator[ast.expr]:
        open_: list[ast.AST] = [self.node]
        while open_:
            node = open_.pop()
            if isinstance(node, ast.Assign):
                yield from (t for t in node.targets if not isinstance(t, ast.Name))
            elif isinstance(node, ast.AugAssign) and not isinstance(node.target, ast.Name):
                yield node.target
            elif isinstance(node, ast.Call) and node is not getattr(self.node, "value", None):
                yield from [node.func] if _is_step(node, self.node) else []
            if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                open_.extend(ast.iter_child_nodes(node))


def _is_step(call: ast.Call, top: ast.stmt) -> bool:
    """Whether a call is a statement inside a loop, a condition or the like: `xs.append(x)`."""
    inside = (n for n in ast.walk(top) if isinstance(n, ast.Expr) and n is not top)
    return isinstance(call.func, ast.Attribute) and any(n.value is call for n in inside)


def _roots(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        root = root_of(node)
        if isinstance(root, ast.Name):
            yield root.id


def _is_async_comprehension(node: ast.AST) -> bool:
    return isinstance(node, ast.comprehension) and bool(node.is_async)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
