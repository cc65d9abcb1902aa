"""Which names are those of secrets, and which texts are secrets by their shape alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

__all__ = ("GAP", "environment_name", "is_secret_name", "shape_of")

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
    | {"credentials", "apikey", "accesskey", "secretkey", "privatekey", "authorization"}
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
