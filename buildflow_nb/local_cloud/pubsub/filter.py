"""The filter language of subscriptions, compiled to one function over a message's attributes.

Grammar, after the Pub/Sub documentation ("Filter messages from a subscription", section
"Filtering syntax"):

    filter     = term { "AND" term } | term { "OR" term }      no mixing without parentheses
    term       = [ "NOT" | "-" ] ( "(" filter ")" | test )
    test       = "attributes" ":" key
               | "attributes" "." key ( "=" | "!=" ) string
               | "hasPrefix" "(" "attributes" "." key "," string ")"
    key        = letters, digits, "_" and "-", or a string
    string     = double quoted, with escapes; at most 256 bytes in a whole filter

`!=` also lets a message pass that lacks the key, as `NOT attributes.key = "…"` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from buildflow_nb.local_cloud.pubsub.status import StatusError, invalid

__all__ = ("Predicate", "compile_filter")

Predicate: TypeAlias = Callable[[Mapping[str, str]], bool]

MOST_BYTES = 256  # Google's limit for a filter
MOST_NESTING = 32  # keeps a hostile filter from exhausting the stack

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([A-Za-z0-9_][A-Za-z0-9_-]*)|(!=|[=:.,()-]))')
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-7]{3}|.)")
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def compile_filter(text: str) -> Predicate | None:
    """Compile a filter; an empty one gives `None`, as it lets everything pass.

    Raises:
        StatusError: INVALID_ARGUMENT, if the filter is too long or cannot be parsed.
    """
    if not text.strip():
        return None
    if len(text.encode()) > MOST_BYTES:
        message = f"Invalid filter: it has more than {MOST_BYTES} bytes."
        raise invalid(message)
    return _Parser(text).parse()


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "uUx" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code.isdigit():
        return chr(int(code, 8))
    return _PLAIN_ESCAPES.get(code, code)


class _Parser:
    """A parser by recursive descent; every method leaves the cursor after what it has read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._at = 0
        self._depth = 0

    def parse(self) -> Predicate:
        predicate = self._filter()
        if self._at < len(self._tokens):
            msg = f"unexpected {self._tokens[self._at]!r}"
            raise self._error(msg)
        return predicate

    def _split(self) -> list[str]:
        tokens, end, text = [], 0, self._text.rstrip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                msg = f"cannot read {text[end:].strip()!r}"
                raise self._error(msg)
            tokens.append(match[0].strip())
            end = match.end()
        return tokens

    def _error(self, reason: str) -> StatusError:
        return invalid(f"Invalid filter {self._text!r}: {reason}.")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self, *expected: str) -> str:
        token = self._peek()
        if not token or (expected and token not in expected):
            wanted = " or ".join(repr(word) for word in expected) or "more"
            msg = f"expected {wanted}, found {token or 'the end'!r}"
            raise self._error(msg)
        self._at += 1
        return token

    def _filter(self) -> Predicate:
        terms = [self._term()]
        joint = self._peek()
        while self._peek() in ("AND", "OR"):
            if self._next() != joint:
                msg = "AND and OR must not be mixed without parentheses"
                raise self._error(msg)
            terms.append(self._term())
        if len(terms) == 1:
            return terms[0]
        join = all if joint == "AND" else any
        return lambda attributes: join(term(attributes) for term in terms)

    def _term(self) -> Predicate:
        if self._peek() in ("NOT", "-"):
            self._next()
            inner = self._nested(self._term)
            return lambda attributes: not inner(attributes)
        if self._peek() == "(":
            self._next()
            inner = self._nested(self._filter)
            self._next(")")
            return inner
        return self._prefix_test() if self._peek() == "hasPrefix" else self._test()

    def _nested(self, parse: Callable[[], Predicate]) -> Predicate:
        self._depth += 1
        if self._depth > MOST_NESTING:
            msg = "it is nested too deeply"
            raise self._error(msg)
        predicate = parse()
        self._depth -= 1
        return predicate

    def _test(self) -> Predicate:
        self._next("attributes")
        if self._next(":", ".") == ":":
            present = self._key()
            return lambda attributes: present in attributes
        key, operator, value = self._key(), self._next("=", "!="), self._string()
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        return lambda attributes: attributes.get(key) != value

    def _prefix_test(self) -> Predicate:
        for token in ("hasPrefix", "(", "attributes", "."):
            self._next(token)
        key = self._key()
        self._next(",")
        prefix = self._string()
        self._next(")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)

    def _key(self) -> str:
        if self._peek().startswith('"'):
            return self._string()
        token = self._next()
        if not token[0].isalnum() and token[0] != "_":
            msg = f"expected a key, found {token!r}"
            raise self._error(msg)
        return token

    def _string(self) -> str:
        token = self._next()
        if not token.startswith('"'):
            msg = f"expected a string in double quotes, found {token!r}"
            raise self._error(msg)
        return _ESCAPE.sub(_unescape, token[1:-1])
