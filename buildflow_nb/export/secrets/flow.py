"""Which texts of some code flow into something secret, whatever they look like.

Something secret is what has a secret's name (an argument, a variable, a key of a dict) or a secret
type (`places.py`). What is given to it is followed to the texts that are written out:
through names, sums, f-strings, `.format`, `%`, `join`, tuples, dicts, conditions, walruses,
unpacking, defaults, loops, attributes, and functions of the same code. What other code makes of its
arguments is not followed: `get_password("shop")` is given a name, not a password.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from buildflow_nb.export.code.bindings import (
    ANY,
    Bindings,
    Bound,
    Scope,
    bindings_of,
    last_name,
)
from buildflow_nb.export.secrets.likely import likely_places
from buildflow_nb.export.secrets.names import shape_of
from buildflow_nb.export.secrets.places import secret_classes, secret_places
from buildflow_nb.export.secrets.sayings import is_likely

__all__ = ("Flowing", "flowing_into_secrets")

_DEEPEST = 8  # steps into values of values
_MOST = 20_000  # steps back from one secret; more are a puzzle
_LETTERS = 3  # of a piece of a text, from which on it tells something


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Methods whose receiver goes through, methods that mix their arguments into it, and functions that
# give what they are given in another form.
_THROUGH = _set(
    "encode decode strip lstrip rstrip upper lower title copy hex removeprefix removesuffix split "
    "rsplit splitlines partition rpartition ljust rjust center zfill reveal get_secret_value read "
    "getvalue items values keys swapcase capitalize casefold expandtabs translate"
)
_MIXING = _set("format join replace format_map substitute safe_substitute")
_PICKING = _set("get pop setdefault __getitem__")
_MAKING = _set(
    "str bytes bytearray list tuple set frozenset dict sorted reversed repr format max min next "
    "iter b64decode b64encode urlsafe_b64decode urlsafe_b64encode standard_b64decode b32decode "
    "b16decode a85decode b85decode unhexlify hexlify fromhex quote unquote quote_plus dedent loads "
    "dumps cast field Field Template StringIO BytesIO literal_eval cleandoc decode encode "
    "OrderedDict MappingProxyType SimpleNamespace chain intern deepcopy copy"
)
_FIELDS = re.compile(r"{[^{}]*}|%\(\w+\)[sdrif]|%[sdrif]|\$\{?\w+\}?")
_KEYS = re.compile(r"[\w.-]+\s*[=:](?!/)|\w+://")
_SCHEMES = re.compile(r"\b(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate)\b", re.IGNORECASE)
_PUBLIC = _set(  # keys of what is secret as a whole whose values are not
    "user username login host hostname port database db dbname region url type scheme driver email "
    "name project_id client_email account auth_uri token_uri universe_domain client_id endpoint "
    "auth_provider_x509_cert_url client_x509_cert_url service profile algorithm alg"
)


@dataclass(slots=True)
class Flowing:
    """What was found: texts, by identity, with the name of what they flow into.

    `pieces` are those of them that are a part of a longer text, and `unbound` the names that led
    to nothing here: they may be another module's.
    """

    texts: dict[int, tuple[ast.Constant, str]] = field(default_factory=dict)
    pieces: set[int] = field(default_factory=set)
    unbound: set[str] = field(default_factory=set)


def flowing_into_secrets(trees: Sequence[ast.AST], wanted: Iterable[str] = ()) -> Flowing:
    """Find them in the trees of one module; `wanted` are names of it that others take."""
    bindings = bindings_of(trees)
    flow = _Flow(bindings, secret_classes(trees))
    for name, bound in secret_places(trees, bindings):
        flow.follow(name, bound)
    for name in wanted:
        for bound in bindings.module.names.get(name, ()):
            flow.follow(name, bound)
    for name, bound in likely_places(trees, bindings):
        flow.follow(name, bound, likely=True)
    return flow.found


class _Flow:
    def __init__(self, bindings: Bindings, classes: frozenset[str]) -> None:
        self.found = Flowing()
        self._bindings = bindings
        self._classes = classes
        self._likely = False
        self._seen: set[tuple[int, tuple[object, ...], str]] = set()

    def follow(self, name: str, start: Bound, *, likely: bool = False) -> None:
        """Take the texts of which something given to the secret `name` is made.

        With `likely` only those that look like a secret, too.
        """
        self._likely = likely
        left, steps = [start], 0
        while left and steps < _MOST:
            steps += 1
            step = left.pop()
            seen = (id(step.value), step.path, name if likely else "")
            if seen in self._seen or len(step.path) > _DEEPEST:
                continue
            self._seen.add(seen)
            if isinstance(step.value, ast.Constant):
                given = step.value.value
                if not likely or (is_likely(name, given) and not shape_of(given)):
                    self._take(step.value, name)
            else:
                way = _WAYS.get(type(step.value))
                left.extend(way(self, step.value, step) if way is not None else ())

    def _wants(self, name: str) -> None:
        if not self._likely:  # another module would be searched whatever its texts look like
            self.found.unbound.add(name)

    def _take(self, text: ast.Constant, name: str) -> None:
        written = isinstance(text.value, (str, bytes)) and text.value and hasattr(text, "lineno")
        if written and (id(text) not in self.found.pieces or _tells(text.value)):
            self.found.texts.setdefault(id(text), (text, name))

    def mixed(self, parts: Iterable[ast.expr]) -> None:
        """Note what is a part of a longer text."""
        self.found.pieces |= {id(part) for part in parts if isinstance(part, ast.Constant)}

    def name(self, node: ast.Name, step: Bound) -> Iterator[Bound]:
        """What a name is bound to."""
        found = step.scope.find(node.id)
        if not found:
            self._wants(node.id)
        for bound in found:
            yield Bound(bound.value, bound.path + step.path, bound.scope)

    def attribute(self, node: ast.Attribute, step: Bound) -> Iterator[Bound]:
        """What any attribute of that name is set to; `.value` is an enum's member itself."""
        self._wants(node.attr)
        for bound in self._bindings.attributes.get(node.attr, ()):
            yield Bound(bound.value, bound.path + step.path, bound.scope)
        if node.attr == "value":
            yield _on(step, node.value)

    def many(self, node: ast.Tuple | ast.List | ast.Set, step: Bound) -> Iterator[Bound]:
        """The elements, or the one that the path leads to."""
        key = step.path[0] if step.path else ANY
        elements = node.elts
        if isinstance(key, int) and not any(isinstance(e, ast.Starred) for e in elements):
            elements = elements[key : (key + 1) or None]
        for value in elements:
            yield Bound(value, step.path[1:], step.scope)

    def dictionary(self, node: ast.Dict, step: Bound) -> Iterator[Bound]:
        """The values, or the one that the path leads to."""
        wanted = step.path[0] if step.path else None
        for key, value in zip(node.keys, node.values, strict=True):
            known = key.value if isinstance(key, ast.Constant) else ...
            if key is None:
                yield Bound(value, step.path, step.scope)
            elif wanted is None and str(known).lower() in _PUBLIC:
                continue
            elif wanted is None or wanted is ANY or known is ... or known == wanted:
                yield Bound(value, step.path[1:], step.scope)

    def subscript(self, node: ast.Subscript, step: Bound) -> Iterator[Bound]:
        """What is inside of something."""
        if isinstance(node.slice, ast.Slice):
            yield _on(step, node.value)
        else:
            yield Bound(node.value, (_key(node.slice), *step.path), step.scope)

    def operation(self, node: ast.BinOp, step: Bound) -> Iterator[Bound]:
        """Both sides."""
        self.mixed((node.left, node.right))
        path = () if isinstance(node.op, ast.Mod) else step.path
        yield from (Bound(value, path, step.scope) for value in (node.left, node.right))

    def joined(self, node: ast.JoinedStr, step: Bound) -> Iterator[Bound]:
        """An f-string's pieces."""
        self.mixed(node.values)
        for value in node.values:
            inner = value.value if isinstance(value, ast.FormattedValue) else value
            yield Bound(inner, (), step.scope)

    def either(self, node: Any, step: Bound) -> Iterator[Bound]:
        """The values that a condition or a choice may give, or the one inside of it."""
        if isinstance(node, ast.IfExp):
            values = [node.body, node.orelse]
        else:
            values = node.values if isinstance(node, ast.BoolOp) else [node.value]
        yield from (_on(step, value) for value in values)

    def inner(self, node: Any, step: Bound) -> Iterator[Bound]:
        """What a comprehension or a lambda gives."""
        scope = self._bindings.inner.get(id(node), step.scope)
        if isinstance(node, ast.Lambda):
            yield Bound(node.body, step.path, scope)
        else:
            value = node.value if isinstance(node, ast.DictComp) else node.elt
            yield Bound(value, step.path[1:], scope)

    def call(self, node: ast.Call, step: Bound) -> Iterator[Bound]:
        """What a function of this code returns; of others, only what is known to go through."""
        name = last_name(node.func)
        for function, _ in self._bindings.functions.get(name, ()):
            scope = self._bindings.inner[id(function)]
            for value in self._bindings.returns(function):
                yield Bound(value, step.path, scope)
        arguments = [*node.args, *(word.value for word in node.keywords)]
        if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value, step.scope):
            yield from self._method(node.func, arguments, step)
        if name in _MAKING or name in self._classes:
            yield from (_on(step, value) for value in arguments)
        elif name in ("zip", "enumerate"):
            yield from _zipped(name, node.args, step)
        elif name == "getenv":
            yield from (Bound(value, (), step.scope) for value in node.args[1:])
        elif isinstance(node.func, (ast.Name, ast.Lambda)):  # a lambda of that name
            yield Bound(node.func, step.path, step.scope)

    def _method(
        self, func: ast.Attribute, arguments: Sequence[ast.expr], step: Bound
    ) -> Iterator[Bound]:
        if func.attr in ("items", "values", "keys"):
            if func.attr == "items" and step.path[1:2] == (1,):
                yield Bound(func.value, (ANY, *step.path[2:]), step.scope)
            elif func.attr != "keys":
                yield Bound(func.value, step.path or (ANY,), step.scope)
        elif func.attr in _THROUGH:
            yield Bound(func.value, (), step.scope)
        elif func.attr in _MIXING:
            self.mixed([func.value])
            yield from (Bound(value, (), step.scope) for value in (func.value, *arguments))
        elif func.attr in _PICKING and arguments:
            yield Bound(func.value, (_key(arguments[0]), *step.path), step.scope)
            yield from (_on(step, value) for value in arguments[1:])


def _on(step: Bound, value: ast.expr) -> Bound:
    return Bound(value, step.path, step.scope)


def _zipped(name: str, arguments: Sequence[ast.expr], step: Bound) -> Iterator[Bound]:
    """One of several that are gone through together: the path is (any, which)."""
    which = step.path[1] if len(step.path) > 1 else None
    if name == "enumerate":
        arguments = [ast.Constant(value=0), *arguments[:1]]
    for at, value in enumerate(arguments):
        if which is None or which is ANY or which == at:
            yield Bound(value, (ANY, *step.path[2:]), step.scope)


def _key(node: ast.expr) -> object:
    """The key that a subscript is, if it is written out."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        return -number if isinstance(number, int) else ANY
    return ANY


def _is_module(node: ast.expr, scope: Scope) -> bool:
    """Whether something is a module, as far as can be told: a name that is bound to nothing."""
    return isinstance(node, ast.Name) and not scope.find(node.id)


def _tells(piece: object) -> bool:
    """Whether a piece of a longer text is more than what stands between secrets."""
    text = piece.decode(errors="replace") if isinstance(piece, bytes) else str(piece)
    for pattern in (_FIELDS, _KEYS, _SCHEMES):
        text = pattern.sub(" ", text)
    return sum(c.isalnum() for c in text) >= _LETTERS


_WAYS: dict[type, Callable[[_Flow, Any, Bound], Iterator[Bound]]] = {
    ast.Name: _Flow.name,
    ast.Attribute: _Flow.attribute,
    ast.Tuple: _Flow.many,
    ast.List: _Flow.many,
    ast.Set: _Flow.many,
    ast.Dict: _Flow.dictionary,
    ast.Subscript: _Flow.subscript,
    ast.BinOp: _Flow.operation,
    ast.JoinedStr: _Flow.joined,
    ast.IfExp: _Flow.either,
    ast.BoolOp: _Flow.either,
    ast.NamedExpr: _Flow.either,
    ast.Starred: _Flow.either,
    ast.Await: _Flow.either,
    ast.ListComp: _Flow.inner,
    ast.SetComp: _Flow.inner,
    ast.GeneratorExp: _Flow.inner,
    ast.DictComp: _Flow.inner,
    ast.Lambda: _Flow.inner,
    ast.Call: _Flow.call,
}
