"""Refuses passwords and keys that are written out, since an export goes into version control.

A text is taken for one by where it stands (`password="…"`, `TOKEN = "…"`, `{"api_key": "…"}`), or
by its own shape (a password inside an address, an AWS key, a private key).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.statement import Statement

__all__ = ("refuse_keys",)

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
_ELSEWHERE = "read it from the environment, like os.environ[{!r}]"


def refuse_keys(statements: Sequence[Statement]) -> None:
    """Look at every text of a program.

    Raises:
        UsageError: one looks like a key; says which and where, and never the key itself.
    """
    passed = {
        value.id
        for statement in statements
        for name, value in _positions(statement.node)
        if isinstance(value, ast.Name) and _is_secret(name)
    }
    for statement in statements:
        for name, value in _positions(statement.node):
            if (_is_secret(name) or name in passed) and _written_out(value):
                raise _refused(statement, value, name)
        for node in ast.walk(statement.node):
            if isinstance(node, ast.Constant) and _shaped(node.value):
                raise _refused(statement, node, "")


def _refused(statement: Statement, node: ast.AST, name: str) -> UsageError:
    what = f"{name} is written out" if name else "a text looks like a key"
    mend = _ELSEWHERE.format(name.upper() or "KEY")
    return UsageError(f"{statement.where(node)}: {what}, and would be in main.py; {mend}")


def _positions(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Names with what is given to them: arguments, assignments, defaults, keys of a dict."""
    for node in ast.walk(tree):
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


def _is_secret(name: str) -> bool:
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


def _written_out(value: ast.AST) -> bool:
    if isinstance(value, ast.Call):  # SecretStr("…"), Secret("…"), "…".encode()
        inner = value.func.value if isinstance(value.func, ast.Attribute) else None
        wraps = not isinstance(inner, ast.Name) and len(value.args) <= 1
        return wraps and _wraps(value, inner)
    return (
        isinstance(value, ast.Constant)
        and isinstance(value.value, (str, bytes))
        and bool(value.value)
    )


def _wraps(call: ast.Call, inner: ast.AST | None) -> bool:
    if inner is not None:
        return isinstance(inner, ast.Constant) and _written_out(inner)
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    return "Secret" in name and any(_written_out(argument) for argument in call.args)


def _shaped(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if "PRIVATE KEY-----" in value:
        return True
    if value.startswith(_AWS_KEYS) and len(value) == _AWS_KEY_LENGTH and value.isalnum():
        return value.isupper()
    try:
        return "://" in value and bool(urlsplit(value).password)
    except ValueError:
        return False
