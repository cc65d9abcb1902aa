"""Who a request is from: a user of Google's, by an ID token in a header or in the session.

The answers are BuildFlow's: 403 where there is no token or the address is not verified, 401 where
the token does not count. A client learns the scheme by `WWW-Authenticate` (RFC 6750 section 3). As
long as the keys of the issuer cannot be fetched nobody can be told from anybody: 503.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from starlette.requests import HTTPConnection

from buildflow_nb.core.errors import DeclarationError, TemporaryError
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.dependencies.headers import BearerCredentials
from buildflow_nb.dependencies.id_tokens import IdTokens, InvalidTokenError
from buildflow_nb.dependencies.issuer_keys import PAUSE_S
from buildflow_nb.exceptions import HTTPException

__all__ = ("AuthenticatedGoogleUserDepBuilder", "BearerCredentials", "GoogleUser")

GOOGLE = ("accounts.google.com", "https://accounts.google.com")
GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v1/certs"

# What counts where the program does not say it, so that the same one can be tried without Google.
AUDIENCE_VARIABLE = "BUILDFLOW_ID_TOKEN_AUDIENCE"
ISSUER_VARIABLE = "BUILDFLOW_ID_TOKEN_ISSUER"
CERTS_VARIABLE = "BUILDFLOW_ID_TOKEN_CERTS_URL"


@dataclass
class GoogleUser:
    """A user as Google knows them; `google_account_id` never changes, the rest may."""

    google_account_id: str
    email: str
    email_verified: bool = False
    name: str | None = None


def AuthenticatedGoogleUserDepBuilder(  # noqa: N802, PLR0913  (BuildFlow's name and parameters)
    raise_on_unauthenticated: bool = True,
    session_id_token: str | None = None,
    bearer_credentials_dependency: Any = BearerCredentials,
    *,
    audience: str | Sequence[str] | None = None,
    issuer: str | Sequence[str] | None = None,
    certs_url: str | None = None,
) -> Any:
    """Make a dependency whose `.google_user` is the `GoogleUser` that a request is from.

    Without one the request is answered with 401 or 403; where `raise_on_unauthenticated` is off,
    `.google_user` is None, and of a user whose address is not verified it says so.

    `session_id_token` is the key in `request.session` under which the program keeps the token; a
    header counts where the session has none. `audience` is the client id that tokens are made for.
    It, `issuer` and `certs_url` are otherwise taken from the environment variables
    `BUILDFLOW_ID_TOKEN_AUDIENCE`, `…_ISSUER` and `…_CERTS_URL`, and are else Google's.

    Raises:
        DeclarationError: the keys' URL is neither https nor an address of this machine.
    """
    tokens = IdTokens(
        _texts(issuer, ISSUER_VARIABLE) or GOOGLE,
        _texts(audience, AUDIENCE_VARIABLE),
        certs_url or os.environ.get(CERTS_VARIABLE) or GOOGLE_CERTS,
    )

    @dependency(Scope.PROCESS)
    class AuthenticatedGoogleUser:
        """`.google_user` is who the request is from, None where that is not known."""

        google_user: GoogleUser | None

        async def __init__(  # type: ignore[misc]  # it is awaited
            self,
            credentials: Annotated[Any, bearer_credentials_dependency],
            connection: HTTPConnection,
        ) -> None:
            kept = None if session_id_token is None else _kept(connection, session_id_token)
            token = credentials.token if kept is None else kept
            user = await _user(tokens, token, strict=raise_on_unauthenticated)
            self.google_user = user

    return AuthenticatedGoogleUser


def _texts(given: str | Sequence[str] | None, variable: str) -> tuple[str, ...]:
    found = os.environ.get(variable) or () if given is None else given
    return (found,) if isinstance(found, str) else tuple(found)


def _kept(connection: HTTPConnection, key: str) -> object:
    """The token in the session, None where there is none.

    Raises:
        DeclarationError: there are no sessions.
    """
    if "session" not in connection.scope:
        msg = (
            f"the token is looked for in the session, under {key!r}, but there are no sessions; "
            "add them with add_middleware(SessionMiddleware, secret_key=...)"
        )
        raise DeclarationError(msg)
    found: object = connection.session.get(key)
    return found


async def _user(tokens: IdTokens, token: object, *, strict: bool) -> GoogleUser | None:
    """The bearer of a token; with `strict`, an answer for whoever is none or not verified.

    Raises:
        HTTPException: there is nobody to be told, or it cannot be told for now.
    """
    if token is None:
        if not strict:
            return None
        raise HTTPException(403, "request is not authenticated", {"WWW-Authenticate": "Bearer"})
    try:
        claims = await tokens.claims(token)
    except InvalidTokenError as error:
        if not strict:
            return None
        challenge = f'Bearer error="invalid_token", error_description="{error}"'
        raise HTTPException(401, str(error), {"WWW-Authenticate": challenge}) from error
    except TemporaryError as error:
        again = {"Retry-After": f"{PAUSE_S:.0f}"}
        raise HTTPException(503, "logins cannot be verified for now", again) from error
    user = _user_of(claims)
    if strict and not user.email_verified:
        raise HTTPException(403, "email is not verified")
    return user


def _user_of(claims: Mapping[str, Any]) -> GoogleUser:
    name, verified = claims.get("name"), claims.get("email_verified")
    return GoogleUser(
        google_account_id=claims["sub"],
        email=str(claims.get("email") or ""),
        email_verified="email" in claims and verified in (True, "true"),
        name=name if isinstance(name, str) else None,
    )
