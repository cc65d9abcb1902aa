"""Which names are those of secrets, and which texts are secrets by their shape alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

__all__ = ("GAP", "environment_name", "is_secret_name", "shape_of", "shapes_in")

_WORDS = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pass",
        "pw",
        "pwd",
        "secret",
        "secrets",
        "token",
        "credential",
    }
    | {
        "passwords",
        "passphrases",
        "credentials",
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "authorization",
    }
    | {"passwort", "kennwort", "contraseña", "contrasena", "motdepasse", "senha", "wachtwoord"}
)
_PAIRS = frozenset(
    (first, key)
    for first in (
        *("access", "api", "private", "secret", "account", "signing", "encryption", "auth"),
        *("fernet", "hmac", "jwt", "aes"),
    )
    for key in ("key", "keys")
)
_ABOUT = frozenset(  # what tells of a secret without being one: secret_name, token_url
    ("id", "name", "names", "url", "uri", "path", "file", "env", "field", "column", "arn", "type")
)
_AWS_KEYS, _AWS_KEY_LENGTH = ("AKIA", "ASIA"), 20
# What tokens of well-known services begin with; what follows is long, and one word.
_TOKENS = ("ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk-", "sk_live_")
_MORE_TOKENS = ("rk_live_", "AIza", "hf_", "pypi-", "SG.", "dop_v1_", "npm_")
_TOKEN_LENGTH = 24
_JWT_PARTS = 3
_SHORTEST = 6  # letters of a credential; fewer are an example's
GAP = "\0"  # stands in a text for what an f-string puts there


def environment_name(name: str) -> str:
    """The environment variable for a secret: `dbPassword` is DB_PASSWORD."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in "_".join(_words(name)))
    plain = "_".join(word for word in plain.upper().split("_") if word)
    return plain if plain and not plain[0].isdigit() else f"SECRET_{plain}".rstrip("_")


def is_secret_name(name: str) -> bool:
    """Whether a name is one of a secret."""
    words = _words(name)
    if name == "session_id_token":  # BuildFlow's word for the key under which a session has one
        return False
    if words[-3:] == ["service", "account", "info"]:  # a key, whatever its name says
        return True
    if words[-1] in _ABOUT and words[-3:] != ["access", "key", "id"]:
        return False
    return bool(_WORDS & set(words)) or any(pair in _PAIRS for pair in pairwise(words))


def _words(name: str) -> list[str]:
    """The words of a name: `awsSecretKey` and `AWS_SECRET_KEY` alike."""
    spaced = "".join(
        f"_{c}" if c.isupper() and i and name[i - 1].islower() else c for i, c in enumerate(name)
    )
    return spaced.lower().replace("-", "_").replace(" ", "_").split("_")


def shape_of(value: object) -> str:
    """What a text is by its shape alone; "" for no secret."""
    if not isinstance(value, str):
        return ""
    return next((name for name, looks in _SHAPES if looks(value)), "")


def _is_aws_key(value: str) -> bool:
    right = len(value) == _AWS_KEY_LENGTH and value.isalnum() and value.isupper()
    return right and value.startswith(_AWS_KEYS)


def _is_jwt(value: str) -> bool:
    """Three parts, the first of them JSON in base64url (RFC 7519 section 3)."""
    parts = value.split(".")
    return value.startswith("eyJ") and len(value) >= _TOKEN_LENGTH and len(parts) == _JWT_PARTS


def _is_authorization(value: str) -> bool:
    scheme, _, credentials = value.partition(" ")
    return (
        scheme in ("Bearer", "Basic") and len(credentials) >= _SHORTEST and " " not in credentials
    )


def _is_connection(value: str) -> bool:
    """Whether it is pairs of names and values with a password: `host=db password=hunter2`."""
    pairs = [part.partition("=") for part in value.replace(";", " ").split()]
    named = [(name, given) for name, sign, given in pairs if sign and name.isidentifier()]
    secret = any(is_secret_name(name) and set(given) - {GAP} for name, given in named)
    return len(named) > 1 and secret and "://" not in value


def _is_token(value: str) -> bool:
    long = len(value) >= _TOKEN_LENGTH and not set(value) & set(" /:")
    return long and value.startswith((*_TOKENS, *_MORE_TOKENS))


def shapes_in(text: str) -> list[tuple[str, str]]:
    """Secrets inside of a text for people, a comment say, with the names of their shapes."""
    found = [(name, match[0]) for name, pattern in _WITHIN for match in pattern.finditer(text)]
    bare = [word.strip(_AROUND) for word in text.split()]
    bare += [word.rpartition("=")[2].strip(_AROUND) for word in bare if "=" in word]
    shaped = ((shape_of(word), word) for word in bare)
    found += [(s, word) for s, word in shaped if s and (s != "api_token" or _has_digit(word))]
    if _is_connection(text) and not _is_example(text):
        found.append(("connection", text))
    return [(name, secret) for name, secret in found if not _is_example(secret)]


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def _is_example(secret: str) -> bool:
    """Whether a text says where a secret would stand: `postgres://user:password@host`."""
    if "://" in secret:
        parts = _login_of(secret)
        return parts.strip("<>{}$*").lower() in _EXAMPLES or (parts[:1] in "<{$*" and parts != "")
    pairs = [part.partition("=")[2] for part in secret.replace(";", " ").split() if "=" in part]
    secrets = [given.strip("'\"") for given in pairs]
    return bool(secrets) and all(
        given.strip("<>{}$*").lower() in _EXAMPLES or given[:1] in ("<", "{", "$", "*")
        for given in secrets
    )


def _login_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return parts.password or parts.username or ""


def _has_login(address: str) -> bool:
    """Whether an address holds a password, or a token where the name of a user would be."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.password:
        return set(parts.password) != {GAP}
    token = parts.username or ""
    return parts.scheme == "https" and bool(set(token) - {GAP})


def _asks_with_secret(address: str) -> bool:
    """Whether the query of an address has a secret: `?token=…`."""
    try:
        query = parse_qsl(urlsplit(address).query)
    except ValueError:
        return False
    return any(is_secret_name(name) and set(value) - {GAP} for name, value in query)


_EXAMPLES = frozenset(
    {"password", "passwd", "pass", "pw", "pwd", "secret", "token", "key", "none", "xxx", "..."}
    | {"…", "changeme", "your_password", "yourpassword", "my_password", "mypassword", "hidden"}
)
_AROUND = "\"'`.,;:()[]{}<>|"  # what may stand around a word in a sentence
# Inside of longer texts only what nothing else looks like.
_WITHIN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private_key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("aws_access_key_id", re.compile(r"(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])")),
    ("jwt", re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*")),
    ("api_token", re.compile(r"\b(?:gh[oprsu]_|github_pat_|glpat-|AIza)[\w-]{16,}")),
    ("api_token", re.compile(r"\bxox[abeoprs]-(?=[\w-]*\d)[\w-]{10,}")),
    ("api_token", re.compile(r"\b(?:sk|rk)[-_](?=[\w-]*\d)(?:live_|test_|proj-)?[\w-]{16,}")),
    ("api_token", re.compile(r"\b(?:hf_|npm_|pypi-|dop_v1_|SG\.)(?=[\w.-]*\d)[\w.-]{20,}")),
    ("authorization", re.compile(r"\b(?:Bearer|Basic) (?=[\w.~+/=-]*\d)[\w.~+/=-]{12,}")),
    ("database_url", re.compile(r"\b[\w+.-]+://[^\s/@:'\"]*:[^\s/@'\"]+@[^\s'\"`<>)\]]+")),
    ("webhook_url", re.compile(r"hooks\.slack\.com/services/[\w/]+")),
)
_SHAPES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("private_key", lambda value: "PRIVATE KEY-----" in value),
    ("jwt", _is_jwt),
    ("authorization", _is_authorization),
    ("aws_access_key_id", _is_aws_key),
    ("api_token", _is_token),
    ("database_url", lambda value: "://" in value and _has_login(value)),
    ("webhook_url", lambda value: "hooks.slack.com/services/" in value),
    ("connection", _is_connection),
    ("url", lambda value: "://" in value and _asks_with_secret(value)),
)
