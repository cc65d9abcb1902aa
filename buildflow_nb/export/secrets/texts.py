"""Texts in code that are passwords or keys, which an export must not hold.

A text is taken for one by where it stands (`password="…"`, `TOKEN = "…"`, `{"api_key": "…"}`), or
by its own shape (a password inside an address, an AWS key, a private key).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from buildflow_nb.export.secrets.names import GAP, is_secret_name, shape_of, shapes_in
from buildflow_nb.export.secrets.sayings import told_in

__all__ = ("Known", "SecretText", "Spot", "Takes", "known_of", "secret_texts", "spot_of")

Takes = Mapping[str, tuple[str, ...]]  # the names of the arguments of functions
_NOTHING: Takes = MappingProxyType({})
Spot = tuple[int, int, object]
_NOWHERE: Mapping[Spot, str] = MappingProxyType({})
_ENVIRONMENT = ("getenv", "environ.get", "environ.setdefault")
_LOGINS = ("auth", "basic_auth", "httpauth", "creds", "credentials", "login")  # (user, password)
_LONG = 8  # letters from which on a word in a list of secrets is one


@dataclass(frozen=True, slots=True)
class SecretText:
    """One text that is a secret: `name` is what it is given to, or what its shape says it is.

    `fixed` says that it stands where nothing can take its place: in an f-string, as a docstring.
    `told` is the secret where the text tells it among other things.
    """

    node: ast.Constant
    name: str
    fixed: bool = False
    told: str = ""

    @property
    def value(self) -> str:
        """The secret itself, for whoever has to keep it out of texts."""
        value = self.told or self.node.value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class Known:
    """What all the code says of names: those given to something secret, and what functions take."""

    passed: frozenset[str] = frozenset()
    takes: Takes = field(default_factory=dict)


def known_of(trees: Sequence[Sequence[ast.AST]]) -> Known:
    """Read it: `mine` in `open(password=mine)`, and `def open(user, password)`."""
    takes = {name: named for nodes in trees for name, named in _signatures(nodes)}
    passed = frozenset(
        value.id
        for nodes in trees
        for name, value in _positions(nodes, takes)
        if isinstance(value, ast.Name) and is_secret_name(name)
    )
    return Known(passed, takes)


def _signatures(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args))
        elif isinstance(node, ast.ClassDef):
            fields = [s.target for s in node.body if isinstance(s, ast.AnnAssign)]
            made = [s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"]
            named = [a.arg for a in made[0].args.args[1:]] if made else []
            yield node.name, tuple(named or [f.id for f in fields if isinstance(f, ast.Name)])


def secret_texts(
    nodes: Sequence[ast.AST],
    passed: frozenset[str],
    takes: Takes = _NOTHING,
    flowing: Mapping[Spot, str] = _NOWHERE,
) -> list[SecretText]:
    """All of them among the nodes of a tree, in its order; `flowing` are those known by place."""
    found: dict[int, SecretText] = {}
    names: dict[int, str] = {}
    for name, value in _positions(nodes, takes):
        constant = _written_out(value)
        if constant is not None and (is_secret_name(name) or name in passed):
            found[id(constant)] = SecretText(constant, name)
        names[id(value)] = name
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            found.update(_in_pieces(node))
        elif isinstance(node, ast.Constant) and id(node) not in found:
            name = flowing.get(spot_of(node), "") or _shape(node)
            if name:
                found[id(node)] = SecretText(node, names.get(id(node), name))
            else:
                found.update(_telling(node))
    if not found:
        return []
    fixed = _fixed(nodes)
    made = [replace(f, fixed=f.fixed or id(f.node) in fixed) for f in found.values()]
    return sorted(made, key=lambda one: (one.node.lineno, one.node.col_offset))


def spot_of(node: ast.Constant) -> Spot:
    """Where a text stands in its code, with its value: pieces of an f-string share a place."""
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0), node.value


def _shape(node: ast.Constant) -> str:
    """What a text looks like, or something inside of it."""
    shape = shape_of(node.value)
    if shape or not isinstance(node.value, str):
        return shape
    return next((name for name, _ in shapes_in(node.value)), "")


def _telling(node: ast.Constant) -> Iterator[tuple[int, SecretText]]:
    """A text that tells a secret among other things; what is left of it would be of no use."""
    value = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
    for name, told in told_in(value) if isinstance(value, str) else ():
        yield id(node), SecretText(node, name, fixed=True, told=told)


def _in_pieces(node: ast.JoinedStr) -> Iterator[tuple[int, SecretText]]:
    """An f-string that is a secret as a whole: `f"postgres://me:hunter2@{host}/shop"`."""
    texts = [part for part in node.values if isinstance(part, ast.Constant)]
    whole = "".join(str(p.value) if isinstance(p, ast.Constant) else GAP for p in node.values)
    shape = shape_of(whole) if texts else ""
    if shape:
        longest = max(texts, key=lambda part: len(str(part.value)))
        yield id(longest), SecretText(longest, shape, fixed=True)


def _fixed(nodes: Sequence[ast.AST]) -> set[int]:
    """Texts in f-strings and sums, patterns, and those that are statements."""
    found: set[int] = set()
    for node in nodes:
        if isinstance(node, (ast.JoinedStr, ast.BinOp, ast.MatchValue)):
            found |= {id(part) for part in ast.walk(node)}
        elif isinstance(node, ast.Expr):
            found.add(id(node.value))
    return found


def _positions(nodes: Sequence[ast.AST], takes: Takes) -> Iterator[tuple[str, ast.AST]]:
    """Names with what is given to them: arguments, assignments, defaults, keys of a dict."""
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg:
            yield from _given_to(node.arg, node.value)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            yield from _assigned(node)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
        elif isinstance(node, ast.arguments):
            yield from _defaults(node)
        elif isinstance(node, ast.Call) and node.args:
            yield from _by_place(node, takes)


def _assigned(node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> Iterator[tuple[str, ast.AST]]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if node.value is not None:
            yield from _given(target, node.value)


def _given(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        for one, its in zip(target.elts, value.elts, strict=False):
            yield from _given(one, its)
    elif isinstance(target, ast.Name):
        yield from _given_to(target.id, value)
    elif isinstance(target, ast.Attribute):
        yield from _given_to(target.attr, value)
    elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        yield str(target.slice.value), value


def _given_to(name: str, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """A value, and what is a secret of its own in it: of a login, of a list of keys."""
    yield name, value
    if not isinstance(value, (ast.Tuple, ast.List, ast.Set)):
        return
    if name.lower() in _LOGINS and isinstance(value, ast.Tuple):
        yield from (("password", one) for one in value.elts[1:][-1:])  # whatever else it names
        return
    single = name.removesuffix("s").removesuffix("S")
    if is_secret_name(single):
        yield from ((single, one) for one in value.elts if _is_word_of_key(one))


def _is_word_of_key(node: ast.AST) -> bool:
    """Whether it is a text like a key, not a word of a language."""
    text = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(text, str) or len(text) < _LONG or " " in text:
        return False
    return any(c.isdigit() for c in text)


def _by_place(call: ast.Call, takes: Takes) -> Iterator[tuple[str, ast.AST]]:
    """Arguments without a name, where the code tells it; what is there if a variable is not."""
    first = call.args[0]
    called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if isinstance(call.func, ast.Name) and called in takes:
        yield from zip(takes[called], call.args, strict=False)
    elif isinstance(first, ast.Constant) and ast.unparse(call.func).endswith(_ENVIRONMENT):
        yield from ((str(first.value), value) for value in call.args[1:])


def _defaults(node: ast.arguments) -> Iterator[tuple[str, ast.AST]]:
    plain = [*node.posonlyargs, *node.args]
    for argument, value in zip(reversed(plain), reversed(node.defaults), strict=False):
        yield argument.arg, value
    for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        if default is not None:
            yield argument.arg, default


def _written_out(value: ast.AST) -> ast.Constant | None:
    """The text that is given: itself, or in `SecretStr("…")`, `"…".encode()`."""
    if isinstance(value, ast.Call) and len(value.args) <= 1:
        if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Constant):
            return _written_out(value.func.value)
        name = value.func.id if isinstance(value.func, ast.Name) else ""
        return _written_out(value.args[0]) if "Secret" in name and value.args else None
    texts = isinstance(value, ast.Constant) and isinstance(value.value, (str, bytes))
    return value if texts and isinstance(value, ast.Constant) and value.value else None
