"""ID tokens of OpenID Connect, verified by Google's own library.

A token counts if one of the issuer's keys has signed it (RS256 or ES256, never "none"), if it names
a known issuer and one of our audiences, and if the time is between its `iat` and its `exp` (OpenID
Connect Core 1.0, section 3.1.3.7). Clocks that differ are not allowed for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.dependencies.issuer_keys import IssuerKeys

__all__ = ("IdTokens", "InvalidTokenError")

LONGEST = 16 * 1024  # bytes; Google's have 1.2 KiB

_log = logging.getLogger(__name__)


class InvalidTokenError(BuildFlowError):
    """A token does not count; the message is for whoever has sent it."""


class _Answer(NamedTuple):
    """What Google's library asks of an answer that it believes to have fetched."""

    data: bytes
    status: int = 200


class IdTokens:
    """Tokens of these issuers, for these audiences (none: for any), signed by the keys at a URL.

    Raises:
        DeclarationError: the URL is neither https nor an address of this machine.
    """

    def __init__(self, issuers: Sequence[str], audiences: Sequence[str], certs_url: str) -> None:
        self._issuers = tuple(issuers)
        self._audiences = list(audiences)
        self._certs_url = certs_url
        self._keys = IssuerKeys(certs_url)
        self._cautioned = bool(audiences)

    def __reduce__(self) -> tuple[type[IdTokens], tuple[object, ...]]:
        """In another process it has keys of its own."""
        return IdTokens, (self._issuers, self._audiences, self._certs_url)

    async def claims(self, token: object) -> Mapping[str, Any]:
        """What a token says of its bearer.

        Raises:
            InvalidTokenError: it does not count.
            TemporaryError: the keys of the issuer cannot be had for now.
        """
        if not isinstance(token, str) or len(token) > LONGEST or not token.isascii():
            _refuse("it is no text of that kind")
        self._caution()
        # The first look loads Google's library, with the keys.
        keys = await self._keys.having(None)
        from google.auth import exceptions, jwt
        from google.oauth2 import id_token

        refusals = (
            ValueError,
            TypeError,
            RecursionError,
            OverflowError,
            exceptions.GoogleAuthError,
        )
        try:
            decode: Any = jwt.decode_header
            keys = await self._keys.having(decode(token).get("kid"))
            verify: Any = id_token.verify_token
            found: Mapping[str, Any] = verify(
                token,
                lambda *_, **__: _Answer(keys.body),
                audience=self._audiences or None,
                certs_url=self._certs_url,
            )
        except refusals as error:
            _refuse(str(error))
        if found.get("iss") not in self._issuers:
            _refuse(f"its issuer is {found.get('iss')!r}")
        if not isinstance(found.get("sub"), str):
            _refuse("it has no sub")
        return found

    def _caution(self) -> None:
        if not self._cautioned:
            self._cautioned = True
            _log.warning(
                "ID tokens that were made for any application are accepted; give audience=, the "
                "client id of yours"
            )


def _refuse(reason: str) -> NoReturn:
    """Refuse a token; why is logged, without the token itself.

    Raises:
        InvalidTokenError: always, and from nothing: what was raised holds the token.
    """
    said = reason.partition(": ")[0]
    _log.info("an ID token was refused: %s", said)
    expired = said.startswith("Token expired")
    msg = "the token has expired" if expired else "the token is not valid"
    raise InvalidTokenError(msg) from None
