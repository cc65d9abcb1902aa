"""Where something secret is given to something: by the name of what takes it, or by its type.

A type is secret if it is `Secret`, `SecretStr`, `SecretBytes`, `Annotated[…, Secret]`, or another
name, a subclass or an alias of one of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from buildflow_nb.export.code.bindings import Bindings, Bound, Scope, last_name
from buildflow_nb.export.secrets.names import is_secret_name

__all__ = ("secret_classes", "secret_places")

_CLASSES = frozenset(("Secret", "SecretStr", "SecretBytes"))
# What is passed by place to classes whose signatures stand in no notebook.
_BY_PLACE = {
    **dict.fromkeys(("HTTPBasicAuth", "HTTPDigestAuth", "BasicAuth"), ("username", "password")),
    "AWSCredentials": ("access_key_id", "secret_access_key", "session_token"),
    "GCPCredentials": ("service_account_info",),
    "CloudSQLUser": ("user_name", "password"),
    "ClickhouseTable": ("database", "table", "host", "username", "password"),
    "SnowflakeTable": (
        *("table", "database", "schema", "bucket", "account", "user", "private_key"),
    ),
    **dict.fromkeys(
        ("SessionDepBuilder", "AsyncSessionDepBuilder"), ("db_primitive", "db_user", "db_password")
    ),
}
_SETTING = ("setdefault", "setenv", "putenv", "__setitem__", "set_password", "setattr")
_LOGINS = ("auth", "basic_auth", "httpauth", "creds", "credentials", "login")  # (user, password)
_LISTS = (ast.Tuple, ast.List, ast.Set)
_PAIR = 2


def secret_classes(trees: Sequence[ast.AST]) -> frozenset[str]:
    """All names of secret types in some code."""
    found, before = set(_CLASSES), 0
    nodes = [node for tree in trees for node in ast.walk(tree)]
    while len(found) > before:
        before = len(found)
        for node in nodes:
            found.update(_more_classes(node, frozenset(found)))
    return frozenset(found)


def _more_classes(node: ast.AST, known: frozenset[str]) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (a.asname for a in node.names if a.asname and a.name.split(".")[-1] in known)
    elif isinstance(node, ast.ClassDef):
        if any(last_name(base) in known for base in node.bases):
            yield node.name
    elif isinstance(node, ast.Assign) and _is_alias(node.value, known):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif type(node).__name__ == "TypeAlias" and _is_secret(node.value, known):  # type: ignore[attr-defined]
        yield node.name.id  # type: ignore[attr-defined]


def _is_alias(value: ast.expr, known: frozenset[str]) -> bool:
    if isinstance(value, ast.Call):
        made = last_name(value.func) == "NewType" and len(value.args) == _PAIR
        return made and _is_secret(value.args[1], known)
    return isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)) and _is_secret(value, known)


def _is_secret(annotation: ast.AST | None, known: frozenset[str]) -> bool:
    """Whether an annotation names a secret type."""
    for node in ast.walk(annotation) if annotation is not None else ():
        if isinstance(node, (ast.Name, ast.Attribute)) and last_name(node) in known:
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = "".join(c if c.isalnum() or c == "_" else " " for c in node.value).split()
            if known & set(words):
                return True
    return False


def secret_places(trees: Sequence[ast.AST], bindings: Bindings) -> Iterator[tuple[str, Bound]]:
    """What is given to something secret, with its name."""
    classes = secret_classes(trees)
    fields = _secret_fields(trees, classes)
    for tree in trees:
        for node in ast.walk(tree):
            scope = bindings.scopes.get(id(node), bindings.module)
            for name, bound in _given(node, scope, classes):
                yield from _parts_of(name, bound)
            if isinstance(node, ast.Call):
                for owner, name, bound in bindings.parameters(node):
                    if is_secret_name(name) or (id(owner), name) in fields:
                        yield name, bound


def _parts_of(name: str, bound: Bound) -> Iterator[tuple[str, Bound]]:
    """A login is a name and a password; anything else is secret as a whole."""
    value = bound.value
    count = len(value.elts) if isinstance(value, _LISTS) else 0
    if name.lower() in _LOGINS and count >= _PAIR:  # the last one is the password
        yield "password", Bound(value, (count - 1,), bound.scope)
    elif name.lower() not in _LOGINS or is_secret_name(name):
        yield name, bound


def _secret_fields(trees: Sequence[ast.AST], classes: frozenset[str]) -> frozenset[tuple[int, str]]:
    """Parameters of functions and fields of classes that are typed as secret."""
    found: set[tuple[int, str]] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found |= {(id(node), name) for name in _typed(node.args, classes)}
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                target = part.target if isinstance(part, ast.AnnAssign) else None
                if isinstance(target, ast.Name) and _is_secret(part.annotation, classes):  # type: ignore[attr-defined]
                    found.add((id(node), target.id))
                elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    found |= {(id(node), name) for name in _typed(part.args, classes)}
    return frozenset(found)


def _typed(arguments: ast.arguments, classes: frozenset[str]) -> Iterator[str]:
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (one.arg for one in every if _is_secret(one.annotation, classes))


def _given(node: ast.AST, scope: Scope, classes: frozenset[str]) -> Iterator[tuple[str, Bound]]:
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.NamedExpr)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from _assigned(target, Bound(node.value, (), scope))
    elif isinstance(node, ast.arguments):
        yield from _defaults(node, scope, classes)
    elif isinstance(node, ast.Call):
        yield from _called(node, scope, classes)
    else:
        for name, value in _written(node, classes):
            yield name, Bound(value, (), scope)


def _written(node: ast.AST, classes: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.keyword) and node.arg and _is_taker(node.arg):
        yield node.arg, node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        name = _target_name(node.target)
        if _is_taker(name) or _is_secret(node.annotation, classes):
            yield name or "secret", node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and _is_taker(str(key.value)):
                yield str(key.value), value
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_secret(
        node.returns, classes
    ):
        yield node.name, ast.Call(func=ast.Name(id=node.name), args=[], keywords=[])


def _is_taker(name: str) -> bool:
    return bool(name) and (is_secret_name(name) or name.lower() in _LOGINS)


def _target_name(target: ast.AST) -> str:
    if isinstance(target, ast.Subscript):
        return str(target.slice.value) if isinstance(target.slice, ast.Constant) else ""
    return last_name(target) if isinstance(target, (ast.Name, ast.Attribute)) else ""


def _assigned(target: ast.AST, bound: Bound) -> Iterator[tuple[str, Bound]]:
    if isinstance(target, (ast.Tuple, ast.List)):
        stars = [isinstance(one, ast.Starred) for one in target.elts]
        for at, one in enumerate(target.elts):
            key = at - len(stars) if True in stars[:at] else at
            if not stars[at]:
                yield from _assigned(one, Bound(bound.value, (*bound.path, key), bound.scope))
    elif _is_taker(_target_name(target)):
        yield _target_name(target), bound


def _defaults(
    node: ast.arguments, scope: Scope, classes: frozenset[str]
) -> Iterator[tuple[str, Bound]]:
    plain = [*node.posonlyargs, *node.args]
    pairs = [
        *zip(reversed(plain), reversed(node.defaults), strict=False),
        *zip(node.kwonlyargs, node.kw_defaults, strict=True),
    ]
    for one, value in pairs:
        if value is not None and (_is_taker(one.arg) or _is_secret(one.annotation, classes)):
            yield one.arg, Bound(value, (), scope)


def _called(call: ast.Call, scope: Scope, classes: frozenset[str]) -> Iterator[tuple[str, Bound]]:
    name = last_name(call.func)
    if name in classes:
        yield from (("secret", Bound(value, (), scope)) for value in call.args)
        yield from (("secret", Bound(word.value, (), scope)) for word in call.keywords)
    for taker, value in zip(_BY_PLACE.get(name, ()), call.args, strict=False):
        if is_secret_name(taker):
            yield taker, Bound(value, (), scope)
    texts = [a.value for a in call.args if isinstance(a, ast.Constant)]
    named = any(isinstance(text, str) and is_secret_name(text) for text in texts[:_PAIR])
    setter = name in _SETTING and (named or is_secret_name(name.removeprefix("set_")))
    if (setter or (name.startswith(("set_", "with_")) and is_secret_name(name))) and call.args:
        yield _setter_name(name, texts), Bound(call.args[-1], (), scope)


def _setter_name(name: str, texts: Sequence[object]) -> str:
    return next(
        (text for text in texts if isinstance(text, str) and is_secret_name(text)),
        name.removeprefix("set_").removeprefix("with_"),
    )
