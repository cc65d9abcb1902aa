"""Texts in code that are passwords or keys, which an export must not hold.

A text is taken for one by where it stands (`password="…"`, `TOKEN = "…"`, `{"api_key": "…"}`), or
by its own shape (a password inside an address, an AWS key, a private key).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

__all__ = ("SecretText", "environment_name", "is_secret_name", "passed_names", "secret_texts")

_WORDS = frozenset(
    {"password", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "credential"}
    | {"credentials", "apikey", "accesskey", "secretkey", "privatekey"}
)
_PAIRS = frozenset(
    (first, key)
    for first in ("access", "api", "private", "secret", "account", "signing", "encryption")
    for key in ("key", "keys")
)
_ABOUT = frozenset(  # what tells of a secret without being one: secret_name, token_url
    ("id", "name", "names", "url", "uri", "path", "file", "env", "field", "column", "arn", "type")
)
_AWS_KEYS, _AWS_KEY_LENGTH = ("AKIA", "ASIA"), 20


@dataclass(frozen=True, slots=True)
class SecretText:
    """One text that is a secret: `name` is what it is given to, or what its shape says it is.

    `fixed` says that it stands where nothing can take its place: in an f-string, as a docstring.
    """

    node: ast.Constant
    name: str
    fixed: bool = False

    @property
    def value(self) -> str:
        """The secret itself, for whoever has to keep it out of texts."""
        value = self.node.value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def passed_names(trees: Iterable[Sequence[ast.AST]]) -> frozenset[str]:
    """Variables that are given to something secret: `mine` in `open(password=mine)`."""
    return frozenset(
        value.id
        for nodes in trees
        for name, value in _positions(nodes)
        if isinstance(value, ast.Name) and is_secret_name(name)
    )


def secret_texts(nodes: Sequence[ast.AST], passed: frozenset[str]) -> list[SecretText]:
    """All of them among the nodes of a tree, in its order."""
    found: dict[int, SecretText] = {}
    names: dict[int, str] = {}
    for name, value in _positions(nodes):
        constant = _written_out(value)
        if constant is not None and (is_secret_name(name) or name in passed):
            found[id(constant)] = SecretText(constant, name)
        names[id(value)] = name
    for node in nodes:
        if isinstance(node, ast.Constant) and id(node) not in found:
            shape = _shape(node.value)
            if shape:
                found[id(node)] = SecretText(node, names.get(id(node), shape))
    if not found:
        return []
    fixed = _fixed(nodes)
    made = [SecretText(f.node, f.name, id(f.node) in fixed) for f in found.values()]
    return sorted(made, key=lambda one: (one.node.lineno, one.node.col_offset))


def environment_name(name: str) -> str:
    """The environment variable for a secret: `dbPassword` is DB_PASSWORD."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in "_".join(_words(name)))
    plain = "_".join(word for word in plain.upper().split("_") if word)
    return plain if plain and not plain[0].isdigit() else f"SECRET_{plain}".rstrip("_")


def _fixed(nodes: Sequence[ast.AST]) -> set[int]:
    """Texts in f-strings, and those that are statements."""
    found: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            found |= {id(part) for part in ast.walk(node)}
        elif isinstance(node, ast.Expr):
            found.add(id(node.value))
    return found


def _positions(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Names with what is given to them: arguments, assignments, defaults, keys of a dict."""
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _given(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            yield from _given(node.target, node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
        elif isinstance(node, ast.arguments):
            yield from _defaults(node)


def _given(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        for one, its in zip(target.elts, value.elts, strict=False):
            yield from _given(one, its)
    elif isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute):
        yield target.attr, value
    elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        yield str(target.slice.value), value


def _defaults(node: ast.arguments) -> Iterator[tuple[str, ast.AST]]:
    plain = [*node.posonlyargs, *node.args]
    for argument, value in zip(reversed(plain), reversed(node.defaults), strict=False):
        yield argument.arg, value
    for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        if default is not None:
            yield argument.arg, default


def is_secret_name(name: str) -> bool:
    """Whether a name is one of a secret."""
    words = _words(name)
    if words[-1] in _ABOUT and words[-3:] != ["access", "key", "id"]:
        return False
    return bool(_WORDS & set(words)) or any(pair in _PAIRS for pair in pairwise(words))


def _words(name: str) -> list[str]:
    """The words of a name: `awsSecretKey` and `AWS_SECRET_KEY` alike."""
    spaced = "".join(
        f"_{c}" if c.isupper() and i and name[i - 1].islower() else c for i, c in enumerate(name)
    )
    return spaced.lower().replace("-", "_").replace(" ", "_").split("_")


def _written_out(value: ast.AST) -> ast.Constant | None:
    """The text that is given: itself, or in `SecretStr("…")`, `Secret("…")`, `"…".encode()`."""
    if isinstance(value, ast.Call) and len(value.args) <= 1:
        if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Constant):
            return _written_out(value.func.value)
        name = value.func.id if isinstance(value.func, ast.Name) else ""
        return _written_out(value.args[0]) if "Secret" in name and value.args else None
    texts = isinstance(value, ast.Constant) and isinstance(value.value, (str, bytes))
    return value if texts and isinstance(value, ast.Constant) and value.value else None


def _shape(value: object) -> str:
    """What a text is by its shape alone; "" for no secret."""
    if not isinstance(value, str):
        return ""
    if "PRIVATE KEY-----" in value:
        return "private_key"
    if value.startswith(_AWS_KEYS) and len(value) == _AWS_KEY_LENGTH and value.isalnum():
        return "aws_access_key_id" if value.isupper() else ""
    try:
        return "database_url" if "://" in value and urlsplit(value).password else ""
    except ValueError:
        return ""
