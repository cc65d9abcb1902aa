"""What the names of some code are bound to, by scope: read off syntax trees, without running them.

A binding is an expression, and a path into its value: in `user, key = pair` the name `key` is bound
to `pair` at 1. Functions are entered by their calls: a parameter is bound to each argument that it
is given, and to its default. Attributes have no scope: `self.key` is whatever any `….key` is set
to, a field of that name included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ("ANY", "Bindings", "Bound", "Scope", "bindings_of", "last_name")


class _Any:
    """A key that is not known."""


ANY = _Any()
Path = tuple[object, ...]
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a name is bound to: the value of an expression, or what `path` leads to inside of it."""

    value: ast.expr
    path: Path
    scope: Scope


@dataclass(eq=False, slots=True)
class Scope:
    """A module, a class, a function or a comprehension."""

    above: Scope | None = None
    is_class: bool = False
    is_comprehension: bool = False
    names: dict[str, list[Bound]] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)  # by `global` and `nonlocal`

    def find(self, name: str) -> list[Bound]:
        """The bindings of a name as code in this scope sees it."""
        scope: Scope | None = self
        inside = True
        while scope is not None:
            if name in scope.names and name not in scope.outer and (inside or not scope.is_class):
                return scope.names[name]
            scope, inside = scope.above, False
        return []

    def home(self, name: str) -> Scope:
        """The scope in which a name is bound, as this one sees it; this one where it is in none."""
        scope: Scope | None = self
        while scope is not None and (name not in scope.names or name in scope.outer):
            scope = scope.above
        return scope or self

    @property
    def around(self) -> Scope:
        """Where a walrus in a comprehension binds (PEP 572)."""
        scope = self
        while scope.is_comprehension and scope.above is not None:
            scope = scope.above
        return scope

    def bind(self, name: str, bound: Bound) -> None:
        """One more binding."""
        scope = self
        while name in scope.outer and scope.above is not None:
            scope = scope.above
        scope.names.setdefault(name, []).append(bound)


@dataclass(slots=True)
class Bindings:
    """Everything that is bound in some trees.

    `functions` and `classes` are by name; `returns` says what calling a function gives, `inner`
    which scope a function or a comprehension has of its own.
    """

    module: Scope = field(default_factory=Scope)
    attributes: dict[str, list[Bound]] = field(default_factory=dict)
    functions: dict[str, list[tuple[_Function, Scope]]] = field(default_factory=dict)
    classes: dict[str, list[tuple[ast.ClassDef, Scope]]] = field(default_factory=dict)
    inner: dict[int, Scope] = field(default_factory=dict)
    scopes: dict[int, Scope] = field(default_factory=dict)
    calls: list[tuple[ast.Call, Scope]] = field(default_factory=list)

    def returns(self, function: _Function) -> Iterator[ast.expr]:
        """The expressions that a function gives."""
        if isinstance(function, ast.Lambda):
            yield function.body
            return
        for node in _own_nodes(function):
            if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) and node.value is not None:
                yield node.value

    def parameters(self, call: ast.Call) -> Iterator[tuple[_Function | ast.ClassDef, str, Bound]]:
        """What a call gives to which parameter of a function, or field of a class, of this code."""
        name, scope = last_name(call.func), self.scopes.get(id(call), self.module)
        method = isinstance(call.func, ast.Attribute)
        for function, _ in self.functions.get(name, ()):
            own = [a.arg for a in _positional(function.args)]
            if method and own[:1] in (["self"], ["cls"]):
                own = own[1:]
            yield from ((function, *one) for one in _given(call, own, scope))
        for cls, _ in self.classes.get(name, ()):
            yield from ((cls, *one) for one in _given(call, fields_of(cls), scope))


def bindings_of(trees: Sequence[ast.AST]) -> Bindings:
    """Read trees of one module."""
    found = Bindings()
    for tree in trees:
        _visit(tree, found.module, found)
    for call, _ in found.calls:
        for owner, name, bound in found.parameters(call):
            if isinstance(owner, ast.ClassDef):
                found.attributes.setdefault(name, []).append(bound)
                for made in _inits(owner):
                    found.inner[id(made)].bind(name, bound)
            else:
                found.inner[id(owner)].bind(name, bound)
    return found


def fields_of(cls: ast.ClassDef) -> list[str]:
    """What its constructor takes, in order."""
    for made in _inits(cls):
        return [a.arg for a in _positional(made.args)][1:]
    fields = [s.target for s in cls.body if isinstance(s, ast.AnnAssign)]
    return [target.id for target in fields if isinstance(target, ast.Name)]


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`, of `c` and of `c[…]`; "" for anything else."""
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _inits(cls: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    for statement in cls.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            yield statement


def _positional(arguments: ast.arguments) -> list[ast.arg]:
    return [*arguments.posonlyargs, *arguments.args]


def _given(call: ast.Call, names: Sequence[str], scope: Scope) -> Iterator[tuple[str, Bound]]:
    for at, value in enumerate(call.args):
        if isinstance(value, ast.Starred):
            for place, name in enumerate(names[at:]):
                yield name, Bound(value.value, (place,), scope)
            break
        if at < len(names):
            yield names[at], Bound(value, (), scope)
    for word in call.keywords:
        if word.arg is not None:
            yield word.arg, Bound(word.value, (), scope)
        else:
            yield from ((name, Bound(word.value, (name,), scope)) for name in names)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside of it."""
    left = list(ast.iter_child_nodes(function))
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            left.extend(ast.iter_child_nodes(node))


def _visit(root: ast.AST, top: Scope, found: Bindings) -> None:
    """Take in a tree; with a list of its own, since trees may be deep."""
    left: list[tuple[ast.AST, Scope]] = [(root, top)]
    while left:
        node, scope = left.pop()
        found.scopes[id(node)] = scope
        inside = _entered(node, scope, found)
        _bind(node, scope, found)
        left.extend((child, inside) for child in reversed(list(ast.iter_child_nodes(node))))


def _entered(node: ast.AST, scope: Scope, found: Bindings) -> Scope:
    """The scope of what is inside of a node."""
    if isinstance(node, _FUNCTIONS):
        made = found.inner[id(node)] = Scope(scope)
        name = getattr(node, "name", "")
        if name:
            found.functions.setdefault(name, []).append((node, scope))
        _bind_parameters(node.args, made, scope)
        return made
    if isinstance(node, ast.ClassDef):
        found.classes.setdefault(node.name, []).append((node, scope))
        return Scope(scope, is_class=True)
    if isinstance(node, _COMPREHENSIONS):
        made = found.inner[id(node)] = Scope(scope, is_comprehension=True)
        return made
    return scope


def _bind_parameters(arguments: ast.arguments, made: Scope, scope: Scope) -> None:
    plain = _positional(arguments)
    for one in (*plain, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if one is not None:
            made.names.setdefault(one.arg, [])
    for one, value in zip(reversed(plain), reversed(arguments.defaults), strict=False):
        made.bind(one.arg, Bound(value, (), scope))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            made.bind(one.arg, Bound(default, (), scope))


def _bind(node: ast.AST, scope: Scope, found: Bindings) -> None:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            _assign(target, Bound(node.value, (), scope), scope, found)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        if node.value is not None:
            _assign(node.target, Bound(node.value, (), scope), scope, found)
    elif isinstance(node, ast.NamedExpr):
        _assign(node.target, Bound(node.value, (), scope), scope.around, found)
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        _assign(node.target, Bound(node.iter, (ANY,), scope), scope, found)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        _assign(node.optional_vars, Bound(node.context_expr, (), scope), scope, found)
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        scope.outer.update(node.names)
    elif isinstance(node, ast.Call):
        found.calls.append((node, scope))
        _grow(node, scope)


def _assign(target: ast.AST, bound: Bound, scope: Scope, found: Bindings) -> None:
    if isinstance(target, ast.Name):
        scope.bind(target.id, bound)
        if scope.is_class:
            found.attributes.setdefault(target.id, []).append(bound)
    elif isinstance(target, ast.Attribute):
        found.attributes.setdefault(target.attr, []).append(bound)
    elif isinstance(target, ast.Starred):
        _assign(target.value, Bound(bound.value, (*bound.path, ANY), bound.scope), scope, found)
    elif isinstance(target, (ast.Tuple, ast.List)):
        stars = [isinstance(one, ast.Starred) for one in target.elts]
        for at, one in enumerate(target.elts):
            key = at - len(stars) if True in stars[:at] else at
            path = bound.path if stars[at] else (*bound.path, key)
            _assign(one, Bound(bound.value, path, bound.scope), scope, found)
    elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        known = isinstance(target.slice, ast.Constant)
        place = target.slice if known else ast.Constant(value=...)
        if not bound.path:
            item = ast.Dict(keys=[place], values=[bound.value])
            scope.home(target.value.id).bind(target.value.id, Bound(item, (), bound.scope))


def _grow(call: ast.Call, scope: Scope) -> None:
    """`keys.append("…")` adds to what `keys` is bound to."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if not isinstance(owner, ast.Name) or not call.args or not isinstance(call.func, ast.Attribute):
        return
    value = call.args[-1]
    if call.func.attr in ("append", "add", "insert", "appendleft"):
        made = ast.List(elts=[value], ctx=ast.Load())
        scope.home(owner.id).bind(owner.id, Bound(made, (), scope))
    elif call.func.attr in ("extend", "update"):
        scope.home(owner.id).bind(owner.id, Bound(value, (), scope))
