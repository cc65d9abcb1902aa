"""Where something is likely a secret: it is a secret if it looks like one, too.

A default behind a secret's name, a pair with it, what a function of that name gives, what it is
compared with, what a loop gives it: there words of a language are as likely (`token == "end"`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from buildflow_nb.export.code.bindings import ANY, Bindings, Bound, last_name
from buildflow_nb.export.secrets.names import is_secret_name

__all__ = ("likely_places",)

_ASKING = ("get", "getenv", "pop", "setdefault", "getattr")
_COMPARING = ("compare_digest", "safe_str_cmp", "constant_time_compare", "__eq__")
# Functions that take a key by place: which, and at which.
_TAKING = {"hmac.new": 0, "hmac.digest": 0, "hmac.HMAC": 0, "jwt.encode": 1, "jwt.decode": 1}
_PAIR = 2
_GAPS = re.compile(r"([^\W\d][\w-]*)[\"']?\s*[:=]\s*[\"']?[%{]")  # `password=%s`
_Found = Iterator[tuple[str, ast.expr]]


def likely_places(trees: Sequence[ast.AST], bindings: Bindings) -> Iterator[tuple[str, Bound]]:
    """What stands where a secret would, with its name."""
    for node in (node for tree in trees for node in ast.walk(tree)):
        scope = bindings.scopes.get(id(node), bindings.module)
        if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            name = _name(node.target)
            if is_secret_name(name):
                yield name, Bound(node.iter, (ANY,), scope)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if _ends_secret(node.name):
                call = ast.Call(func=ast.Name(id=node.name), args=[], keywords=[])
                yield node.name, Bound(call, (), scope)
        else:
            yield from ((name, Bound(value, (), scope)) for name, value in _given(node))


def _ends_secret(name: str) -> bool:
    """Whether what a function gives is one: `db_password`, and not `password_field`."""
    last = name.rpartition("_")[2]
    return is_secret_name(name if last.lower().endswith(("key", "keys")) else last)


def _given(node: ast.AST) -> _Found:
    if isinstance(node, ast.Call):
        yield from _called(node)
    elif isinstance(node, ast.Compare):
        yield from _beside([node.left, *node.comparators])
    elif isinstance(node, ast.BoolOp):
        yield from _beside(node.values)
    elif isinstance(node, ast.IfExp):
        yield from _beside([node.body, node.orelse])
    elif isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == _PAIR:
        name = _text(node.elts[0])
        if is_secret_name(name):
            yield name, node.elts[1]
    elif isinstance(node, (ast.Match, ast.If)):
        yield from _told_apart(node)
    elif isinstance(node, (ast.JoinedStr, ast.BinOp)):
        yield from _put_in(node)
    else:
        yield from _keys(node)


def _called(node: ast.Call) -> _Found:
    name = last_name(node.func)
    at = _TAKING.get(ast.unparse(node.func)) if name else None
    if at is not None and len(node.args) > at:
        yield "secret", node.args[at]
    elif name in _COMPARING:
        yield from _beside(node.args, "secret")
    elif name in _ASKING:
        at = 1 if name == "getattr" else 0
        asked = _text(node.args[at]) if len(node.args) > at else ""
        if is_secret_name(asked):
            words = [word.value for word in node.keywords if word.arg in ("default", "fallback")]
            yield from ((asked, value) for value in (*node.args[at + 1 :], *words))
    elif name == "Fernet" and node.args:
        yield "secret", node.args[0]
    elif isinstance(node.func, ast.Attribute):
        yield from _asked_of(node.func, node)


def _asked_of(func: ast.Attribute, node: ast.Call) -> _Found:
    """`token.startswith(…)`, and `"password={}".format(…)`."""
    name = _name(func.value) if func.attr in ("startswith", "endswith") else ""
    if func.attr == "format":
        name = _before_gap(_text(func.value))
    if is_secret_name(name):
        yield from ((name, value) for value in (*node.args, *(w.value for w in node.keywords)))


def _before_gap(text: str) -> str:
    """The name of a secret in front of what is put into a text; "" for none."""
    return next((name for name in _GAPS.findall(text) if is_secret_name(name)), "")


def _put_in(node: ast.JoinedStr | ast.BinOp) -> _Found:
    if isinstance(node, ast.BinOp):
        name = _before_gap(_text(node.left)) if isinstance(node.op, ast.Mod) else ""
        if name:
            yield name, node.right
        return
    for before, value in pairwise(node.values):
        name = _before_gap(_text(before) + "{")
        if name and isinstance(value, ast.FormattedValue):
            yield name, value.value


def _described(node: ast.Dict) -> _Found:
    """`{"name": "password", "value": "…"}`, as containers have their settings."""
    found = {_text(key).lower(): v for key, v in zip(node.keys, node.values, strict=True)}
    name = _text(found.get("name") or found.get("key"))
    if is_secret_name(name) and "value" in found:
        yield name, found["value"]


def _beside(values: Sequence[ast.expr], otherwise: str = "") -> _Found:
    """Values of which one has a secret's name: the others."""
    names = [name for name in map(_name, values) if is_secret_name(name)]
    name = next(iter(names), otherwise)
    if name:
        yield from ((name, value) for value in values if not is_secret_name(_name(value)))


def _told_apart(node: ast.Match | ast.If) -> _Found:
    """`case "password": return …`, and what a secret is matched with."""
    if isinstance(node, ast.If):
        texts = [_text(part) for part in ast.walk(node.test) if isinstance(part, ast.Constant)]
        yield from _returned(texts, node.body)
        return
    subject = _name(node.subject)
    for case in node.cases:
        found = [part.value for part in ast.walk(case.pattern) if isinstance(part, ast.MatchValue)]
        if is_secret_name(subject):
            yield from ((subject, value) for value in found)
        yield from _returned([_text(value) for value in found], case.body)


def _returned(texts: Sequence[str], body: Sequence[ast.stmt]) -> _Found:
    name = next((text for text in texts if is_secret_name(text)), "")
    for part in body:
        if name and isinstance(part, ast.Return) and part.value is not None:
            yield name, part.value


def _keys(node: ast.AST) -> _Found:
    """What is given to a key, of whatever: `KEY = …`, `key=…`, `{"key": …}`."""
    if isinstance(node, ast.keyword):
        pairs: list[tuple[str, ast.expr | None]] = [(node.arg or "", node.value)]
    elif isinstance(node, ast.Assign):
        pairs = [(_name(target), node.value) for target in node.targets]
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
        pairs = [(_name(node.target), node.value)]
    elif isinstance(node, ast.Dict):
        yield from _described(node)
        pairs = [(_text(key), v) for key, v in zip(node.keys, node.values, strict=True)]
    elif isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        given = [None] * (len(plain) - len(node.defaults)) + node.defaults
        named = zip((*plain, *node.kwonlyargs), (*given, *node.kw_defaults), strict=True)
        pairs = [(one.arg, value) for one, value in named]
    else:
        return
    for name, value in pairs:
        if value is not None and name.lower().endswith("key"):
            yield name, value


def _text(node: ast.expr | None) -> str:
    text = node.value if isinstance(node, ast.Constant) else ""
    return text if isinstance(text, str) else ""


def _name(node: ast.expr) -> str:
    """What something is called: a variable, an item, what is asked for by name."""
    if isinstance(node, ast.Subscript):
        return _text(node.slice) or last_name(node)
    if isinstance(node, ast.Call):
        at = 1 if last_name(node.func) == "getattr" else 0
        asks = last_name(node.func) in _ASKING and len(node.args) > at
        return _text(node.args[at]) if asks else last_name(node.func)
    if isinstance(node, ast.Attribute) and node.attr in ("value", "encode", "strip"):
        return _name(node.value)
    return last_name(node)
