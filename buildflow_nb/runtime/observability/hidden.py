"""Secrets that a processor has had in its hands lately, and texts without them.

A field that is typed as secret is masked by construction wherever its element is shown. Text is
another thing: what code prints and logs, and what its errors say, may quote a secret anywhere. So
the values of secret fields are remembered, per processor and bounded, before its code sees them,
and masked in every text of the processor that a person gets. They are remembered in all the forms
in which texts quote them: as they are, in a `repr`, in JSON, in an address.

A word shorter than `SHORT` letters is masked only where it stands alone, since it is a part of
others. Of two secrets that overlap in a text, nothing is left.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote, quote_plus

from buildflow_nb.core.conversion.annotations import is_record, is_unknown
from buildflow_nb.core.conversion.secret_fields import MASK, secrets_of
from buildflow_nb.core.conversion.secret_nodes import with_fields
from buildflow_nb.core.conversion.type_parts import fields_of
from buildflow_nb.core.credentials import is_secret_class, revealed

__all__ = ("WORDS", "Hidden", "forms_of", "in_texts", "remembering")

WORDS = 10_000  # forms of secrets remembered for each processor: as many as elements under way
LETTERS = 4_000_000  # of all of them: a secret may be long
SHORT = 4  # letters from which on a word is looked for inside of others, too
_DEPTH = 4  # levels of what is secret as a whole: a list of keys, a record
_MANY = (list, tuple, set, frozenset)
_PLAIN = (str, bytes, int, float, bool, type(None))
Secrets = Callable[[Any], list[object]]


class Hidden:
    """Words that must not be seen; added from any thread, the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: dict[str, None] = {}
        self._letters = 0
        self._short: tuple[str, ...] = ()
        # By their first letters, then by their length: one look for each place in a text.
        self._by_start: dict[str, dict[int, set[str]]] = {}

    def add(self, secrets: Iterable[object]) -> bool:
        """Remember secrets; whether any of them is new."""
        new = [word for word in forms_of(secrets) if word not in self._words]
        for word in new:
            self._take(word)
        return bool(new)

    def masked(self, text: str) -> str:
        """The text with `****` in place of what is remembered."""
        spans = self._spans(text) if self._by_start else []
        for begin, end in reversed(spans):
            text = f"{text[:begin]}{MASK}{text[end:]}"
        for word in self._short:
            if word in text:
                text = _alone(word).sub(MASK, text)
        return text

    def _take(self, word: str) -> None:
        with self._lock:
            if word in self._words:
                return
            self._words[word] = None
            self._letters += len(word)
            if len(word) < SHORT:
                self._short = (*self._short, word)
            else:
                lengths = self._by_start.get(word[:SHORT], {})
                if len(word) in lengths:
                    lengths[len(word)].add(word)
                else:  # a new dict, since others may be looking through the old one
                    lengths = {**lengths, len(word): {word}}
                    self._by_start[word[:SHORT]] = dict(sorted(lengths.items(), reverse=True))
            while len(self._words) > WORDS or (self._letters > LETTERS and len(self._words) > 1):
                self._forget(next(iter(self._words)))

    def _forget(self, word: str) -> None:
        del self._words[word]
        self._letters -= len(word)
        if len(word) < SHORT:
            self._short = tuple(other for other in self._short if other != word)
            return
        lengths = self._by_start[word[:SHORT]]
        lengths[len(word)].discard(word)
        if not any(lengths.values()):
            del self._by_start[word[:SHORT]]

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where words stand, from the first to the last; what overlaps is one."""
        found: list[tuple[int, int]] = []
        starts = self._by_start
        for at in range(len(text) - SHORT + 1):
            lengths = starts.get(text[at : at + SHORT])
            if lengths is None:
                continue
            long = next((n for n, words in lengths.items() if text[at : at + n] in words), 0)
            if not long:
                continue
            if found and at < found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], at + long))
            else:
                found.append((at, at + long))
        return found


@lru_cache(maxsize=256)
def _alone(word: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if word[0].isalnum() else ""
    after = r"(?!\w)" if word[-1].isalnum() else ""
    return re.compile(f"{before}{re.escape(word)}{after}")


def forms_of(secrets: Iterable[object]) -> list[str]:
    """How secrets may be written inside a text, longest first."""
    found: set[str] = set()
    for secret in secrets:
        for value in _leaves(secret, _DEPTH):
            text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            if text == MASK or (not isinstance(value, (str, bytes)) and len(text) < 3):  # noqa: PLR2004
                continue  # digits that stand everywhere would make the text unreadable
            found |= _written(text)
    return sorted(found - {"", "*", "**", "***"}, key=len, reverse=True)


def _written(text: str) -> set[str]:
    if text.isalnum() and text.isascii():
        return {text}
    raw = text.encode("utf-8", "surrogatepass")
    made = {text, *(quoted[1:-1] for quoted in (repr(text), json.dumps(text)))}
    made |= {json.dumps(text, ensure_ascii=False)[1:-1], repr(raw)[2:-1], quote(raw, safe="")}
    made |= {quote(raw), quote_plus(raw)}
    lines = [line.strip() for line in text.splitlines()]
    return made | (set(lines) if len(lines) > 1 else set())


def _leaves(secret: object, depth: int) -> Iterator[object]:
    """The plain values of which something secret is made; itself where that cannot be told."""
    kind = type(secret)
    if is_secret_class(kind):
        secret = revealed(secret)
    if isinstance(secret, _PLAIN) or not depth:
        yield secret
    elif isinstance(secret, Mapping):
        for key, item in secret.items():
            yield from _leaves(key, depth - 1)
            yield from _leaves(item, depth - 1)
    elif isinstance(secret, _MANY):
        for item in secret:
            yield from _leaves(item, depth - 1)
    elif is_record(kind):
        for name in fields_of(kind):
            yield from _leaves(getattr(secret, name, None), depth - 1)
    else:
        yield secret


def in_texts(value: Any, masked: Callable[[str], str], depth: int = _DEPTH) -> object:
    """A value with its texts masked, in lists, dicts and records, too; itself, if none changes."""
    kind = type(value)
    if kind is str:
        return masked(value)
    if not depth or kind in _PLAIN:
        return value
    if kind is dict or kind in _MANY:
        return _each_in_texts(value, masked, depth - 1)
    return _fields_in_texts(value, masked, depth - 1) if is_record(kind) else value


def _fields_in_texts(value: Any, masked: Callable[[str], str], depth: int) -> object:
    fields = {name: getattr(value, name, None) for name in fields_of(type(value))}
    changed = {name: in_texts(each, masked, depth) for name, each in fields.items()}
    same = all(changed[name] is each for name, each in fields.items())
    return value if same else with_fields(value, changed, lambda: MASK)


def _each_in_texts(value: Any, masked: Callable[[str], str], depth: int) -> object:
    if isinstance(value, dict):
        made = {in_texts(k, masked, depth): in_texts(v, masked, depth) for k, v in value.items()}
        same = all(k in made and made[k] is v for k, v in value.items())
        return value if same else made
    found = [in_texts(each, masked, depth) for each in value]
    same = all(a is b for a, b in zip(found, value, strict=True))
    return value if same else type(value)(found)


def remembering(hint: object) -> Callable[[Sequence[object]], list[object]] | None:
    """What lists the secrets of many values of a type; None for a type that has none.

    Where the annotation says nothing, the classes of the values do.
    """
    secrets = secrets_of(hint)
    if secrets is not None:
        return lambda values: [one for value in values for one in _tried(secrets, value)]
    return _by_class if is_unknown(hint) else None


def _by_class(values: Sequence[object]) -> list[object]:
    try:
        kinds = {kind: _secrets_of_class(kind) for kind in set(map(type, values))}
    except BaseException:  # noqa: BLE001  (a metaclass of the user's)
        return []
    if not any(kinds.values()):
        return []
    pairs = ((kinds[type(value)], value) for value in values)
    return [one for secrets, value in pairs if secrets for one in _tried(secrets, value)]


@lru_cache(maxsize=256)
def _secrets_of_class(kind: Any) -> Secrets | None:
    if is_secret_class(kind):
        return lambda value: [value]
    return secrets_of(kind) if is_record(kind) else None


def _tried(secrets: Secrets, value: object) -> Sequence[object]:
    try:
        return secrets(value)
    except BaseException:  # noqa: BLE001  (a user's class, which may do anything)
        return cast("Sequence[object]", ())
