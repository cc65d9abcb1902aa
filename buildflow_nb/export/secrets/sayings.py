"""Secrets that a text tells: a comment, a docstring, JSON, YAML or settings in a string.

A name of a secret says what stands behind it: `password: …`, `"token": "…"`, `API_KEY=…`, "the
password is …". What is told must look typed, since a text for people says much about passwords.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from buildflow_nb.export.secrets.names import is_secret_name

__all__ = ("is_likely", "looks_random", "looks_typed", "told_in")

_TOLD = re.compile(
    r"(?P<name>[^\W\d][\w-]*)[\"'`*]*(?:\s+(?:for|of|to|in|on)(?:\s+[\w.-]+){1,3}?)?"
    r"(?:\s*(?:[:=]=?|[-=]>|→)\s*|\s+(?:i(?:s|st)|was|are|war|lautet)\s*:?\s+)"
    r"[\"'`*]*(?P<value>[^\s\"'`()\[\]{}<>$,;]{6,})"
)
# Of a command's options and of a `.netrc`, XML's, and what curl takes as a login.
_GIVEN = re.compile(
    r"(?:(?<!\S)(?:-u|--user)\s+[\"']?[\w.@-]+:|(?<!\S)--?(?P<option>[^\W\d][\w-]*)\s+|\b(?P<word>password|passwd|passwort|pwd)\s+\(?"
    r"|<(?P<tag>[^\W\d][\w-]*)>\s*)"
    r"[\"'`*]*(?P<value>[^\s\"'`()\[\]{}<>$,;]{6,})"
)
_SHORTEST = 6  # letters of a secret; fewer are an example's
_RANDOM, _HEX = 16, 32  # letters of a key; of one in hexadecimal digits
# Names of forms, which have digits and are no secrets: "token: base64".
_FORMS = re.compile(
    r"(?<![^\W_])(?:base\d+|sha\d*-?\d+|md5|utf-?\d+|[hrep]s\d{3}|oauth\d?|uuid\d?|u?int\d+|float\d+"
    r"|pbkdf2|argon2\w*|x509|ed25519|s3|v\d+|aes-?\d*|latin-?1|n?v?(?:ar)?char2?\d*|string\d*"
    r"|(?:col|column|field|param|arg|line|row|cell|page|step|test|example|python)s?[_-]?\d+)"
    r"(?![^\W_])",
    re.IGNORECASE,
)
_OF_CODE = re.compile(
    r"(?:self|cls|os|sys|app|args?|conf|cfg|config|settings|env|environ|request|req|secrets|"
    r"credentials|creds|data|row|event|response|payload|options|context|ctx|st|keyring)\."
)
_PATH = re.compile(r"[.~]{0,2}/[\w.-]+(?:/[\w.-]*)+|\w[\w.-]*://.*")


def told_in(text: str) -> list[tuple[str, str]]:
    """The secrets that a text tells, line by line, each with the name that it has there."""
    if not any(sign in text for sign in ":= >"):
        return []
    found = [] if "{" not in text else list(_in_json(text))
    for line in text.splitlines():
        for match in _TOLD.finditer(line):
            name, value = match["name"], match["value"].rstrip(".:!?*")
            called = line[match.end() : match.end() + 1] in ("(", "[")
            if not called and is_likely(name, value):
                found.append((name, value))
        for match in _GIVEN.finditer(line):
            name = match["option"] or match["word"] or match["tag"] or "password"
            if is_likely(name, match["value"]):
                found.append((name, match["value"]))
    return found


def _in_json(text: str) -> Iterator[tuple[str, str]]:
    try:
        left = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            left.extend(value.values())
            for name, given in value.items():
                if isinstance(given, str) and given and is_secret_name(name):
                    yield name, given


def is_likely(name: str, value: object) -> bool:
    """Whether a text that has this name is a secret by what it looks like."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return False
    if is_secret_name(name):
        return looks_typed(text)
    return name.lower().endswith("key") and looks_random(text)


def looks_typed(text: str) -> bool:
    """Whether it is one word of letters and digits, and no name of a form, a path or code."""
    if len(text) < _SHORTEST or any(c.isspace() for c in text) or text.startswith(":"):
        return False
    if _PATH.fullmatch(text) or _OF_CODE.match(text):
        return False
    left = _FORMS.sub("", text)
    return any(c.isdigit() for c in left) and any(c.isalpha() for c in left)


def looks_random(text: str) -> bool:
    """Whether it is a key: letters of both cases and digits, or long and hexadecimal."""
    if re.fullmatch(r"[0-9a-fA-F]+", text):
        return len(text) >= _HEX
    if len(text) < _RANDOM or not re.fullmatch(r"[\w+/-]+={0,2}", text) or _PATH.fullmatch(text):
        return False
    kinds = (str.isupper, str.islower, str.isdigit)
    return all(any(kind(c) for c in text) for kind in kinds)
