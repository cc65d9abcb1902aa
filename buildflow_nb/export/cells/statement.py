"""One statement of a cell: its text as it was typed, what it is, and where it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeGuard

from buildflow_nb.export.cells.names import Names, names_of, root_of

__all__ = ("APP", "Statement")

APP = "app"  # the kernel's flow is whatever this name is bound to
_PROCESSORS = ("consumer", "collector", "endpoint")
_DECLARING = frozenset(
    (*_PROCESSORS, "service", "manage", "add_consumer", "add_collector", "add_service")
)
_ADDING = ("add_consumer", "add_collector", "add_endpoint")
_DELETES = frozenset(("unlink", "rmdir", "rmtree"))
_STAY = _DELETES | {"sleep"}  # called for a person's sake
# The verbs that a method of set-up begins with, and of showing something, each between two spaces.
_SETS_UP = (
    " set config configure basic use init initialize register filterwarnings simplefilter install "
    " enable disable add append extend insert update discard clear load seed mkdir makedirs touch "
    " write put push create connect open execute sort reverse subscribe setdefault setup "
)
_PREPARES = (  # of these, those that prepare something beside the values of the cells
    " set config configure basic init initialize register filterwarnings simplefilter install "
    " enable disable load seed mkdir makedirs setup "
)
_SHOWS = (
    " plot show hist scatter bar imshow draw savefig render display print pprint head tail sample "
    " describe info summary "
)
_SHELL = "get_ipython"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_WAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith)


@dataclass(frozen=True)
class Statement:
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
        first = min([self.node.lineno, *(d.lineno for d in _decorators(self.node))])
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
    def parts(self) -> list[ast.AST]:
        """Every node of it."""
        return list(ast.walk(self.node))

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
    def commands(self) -> bool:
        """Whether it runs, sends or deploys: what a program does under `__main__`, if at all."""
        return any(method not in _DECLARING for method in self.flow_methods)

    @cached_property
    def flow_methods(self) -> tuple[str, ...]:
        """The methods of the flow that it calls."""
        return tuple(call.func.attr for call in self._flow_calls if _is_attribute(call.func))

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
        return list(_flow_calls(self._at_once))

    @cached_property
    def _at_once(self) -> list[ast.AST]:
        """Every node of it that is run where it stands, not when a function is called."""
        found: list[ast.AST] = []
        open_: list[ast.AST] = [self.node]
        while open_:
            node = open_.pop()
            found.append(node)
            if not isinstance(node, _FUNCTIONS):
                open_.extend(ast.iter_child_nodes(node))
            else:  # defaults and decorators belong to the module
                open_.extend(getattr(node, "decorator_list", []))
                open_.extend(d for d in (*node.args.defaults, *node.args.kw_defaults) if d)
        return found

    @cached_property
    def processors(self) -> tuple[str, ...]:
        """The processors that it declares, by their ids."""
        found = [
            getattr(self.node, "name", "")
            for decorator in _decorators(self.node)
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
        first = min([self.node.lineno, *(d.lineno for d in _decorators(self.node))])
        for decorator in reversed(_decorators(self.node)):
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
        for node in self._at_once:
            if isinstance(node, _WAITING) or _is_async_comprehension(node):
                return node if hasattr(node, "lineno") else self.node
        return None

    @cached_property
    def decorator_roots(self) -> frozenset[str]:
        """The names that its decorators start from."""
        return frozenset(_roots(_decorators(self.node)))

    @cached_property
    def changes(self) -> frozenset[str]:
        """Names whose values it changes without binding them: `d` in `d["k"] = 1`."""
        return frozenset(_roots(_changed_in(self.node)))

    @cached_property
    def calls(self) -> str:
        """The name that it calls a method of, for its effect alone: `logging` in `logging.f()`.

        What a cell ends with is shown under it, so it counts only if it is called like set-up.
        """
        value = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
            return ""
        verb = _verb(value.func.attr)
        shown = verb in _SHOWS or (self.last and verb not in _SETS_UP)
        return "" if shown or value.func.attr in _STAY else next(_roots([value.func]), "")

    @cached_property
    def effects(self) -> frozenset[str]:
        """Names whose values a function of it changes when it is called, and gives nothing back."""
        if not isinstance(self.node, ast.FunctionDef) or any(_gives(part) for part in self.parts):
            return frozenset()
        changed = {
            name for part in self.node.body for name in _roots(_changed_in(part, inside=True))
        }
        return frozenset(changed & self.names.later) | self.names.rebinds

    @cached_property
    def performs(self) -> frozenset[str]:
        """Functions that it calls for their effect alone: `put(1)`."""
        calls = [part.value for part in self._at_once if isinstance(part, ast.Expr)]
        found = (call.func for call in calls if isinstance(call, ast.Call))
        return frozenset(called.id for called in found if isinstance(called, ast.Name))

    @cached_property
    def prepares(self) -> str:
        """The name that it calls to prepare what comes: `os` in `os.makedirs("out")`."""
        value = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(value, ast.Call) or not isinstance(value.func, (ast.Attribute, ast.Name)):
            return ""
        method = value.func.attr if isinstance(value.func, ast.Attribute) else value.func.id
        return next(_roots([value.func]), "") if _verb(method) in _PREPARES else ""

    @cached_property
    def search_path(self) -> str | None:
        """The folder that it adds to `sys.path`, where it is written out."""
        call = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return None
        folder = call.args[-1] if call.args else None
        added = ast.unparse(call.func) in ("sys.path.insert", "sys.path.append")
        text = folder.value if added and isinstance(folder, ast.Constant) else None
        return text if isinstance(text, str) else None

    @cached_property
    def deletes(self) -> bool:
        """Whether it deletes files: to begin anew, which a program must not do at every start."""
        nodes = [] if self.is_block else self.parts
        called = [node.func for node in nodes if isinstance(node, ast.Call)]
        return any(isinstance(f, ast.Attribute) and f.attr in _DELETES for f in called)

    @cached_property
    def is_block(self) -> bool:
        """Whether it is a function or a class."""
        return isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _changed_in(top: ast.stmt, *, inside: bool = False) -> Iterator[ast.expr]:
    """What a statement changes; `inside` says that it is one of a function's own."""
    open_: list[ast.AST] = [top]
    while open_:
        node = open_.pop()
        if isinstance(node, ast.Assign):
            yield from (t for t in node.targets if not isinstance(t, ast.Name))
        elif isinstance(node, ast.AugAssign) and not isinstance(node.target, ast.Name):
            yield node.target
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            step = inside or node is not top  # xs.append(x) in a loop, a condition and the like
            called = node.value.func
            yield from [called] if step and isinstance(called, ast.Attribute) else []
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            open_.extend(ast.iter_child_nodes(node))


def _gives(node: ast.AST) -> bool:
    """Whether a function with this in it gives something back."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        return True
    return isinstance(node, ast.Return) and node.value is not None


def _verb(method: str) -> str:
    """The first word of a method's name, between two spaces."""
    spaced = "".join(f"_{c.lower()}" if c.isupper() else c for c in method)
    return f" {spaced.strip('_').partition('_')[0]} "


def _decorators(node: ast.stmt) -> list[ast.expr]:
    found: list[ast.expr] = getattr(node, "decorator_list", [])
    return found


def _flow_calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        if isinstance(node, ast.Call) and _is_attribute(node.func):
            yield from [node] if _is_name(node.func.value, APP) else []


def _is_attribute(node: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute)


def _roots(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        root = root_of(node)
        if isinstance(root, ast.Name):
            yield root.id


def _is_async_comprehension(node: ast.AST) -> bool:
    return isinstance(node, ast.comprehension) and bool(node.is_async)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
