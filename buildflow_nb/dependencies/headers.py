"""Credentials that come in a header, and how the OpenAPI document tells of them.

`Authorization: Bearer <token>` is read as RFC 9110 section 11.4 and RFC 6750 section 2.1 define it:
the scheme in any case of letters, one or more spaces, then a `token68`. Whatever else stands there
is no token. Two such headers are none either, since a proxy and a server could each believe another
one.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from buildflow_nb.core.declaring.dependencies import dependency_of, provider_of
from buildflow_nb.dependencies import Scope, dependency

__all__ = (
    "BearerCredentials",
    "OpenAPISecurityWrapper",
    "SecurityHeader",
    "parse_credentials",
    "security_dependencies",
)

_BEARER = re.compile(r"bearer +([a-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)


def parse_credentials(authorization_header_value: str | None) -> str | None:
    """The token of a header `Bearer <token>`; None where there is none."""
    found = _BEARER.fullmatch((authorization_header_value or "").strip(" \t"))
    return None if found is None else found[1]


class SecurityHeader(abc.ABC):
    """A dependency that reads credentials; the document lists the operations that use it."""

    @classmethod
    @abc.abstractmethod
    def service_auth_info(cls) -> dict[str, Any]:
        """OpenAPI's security schemes, by name: `{"Auth": {"type": "http", …}}`."""

    @classmethod
    @abc.abstractmethod
    def endpoint_auth_info(cls) -> dict[str, Any]:
        """OpenAPI's security requirement of an operation: `{"Auth": []}`."""


@dependency(Scope.PROCESS)
class BearerCredentials(SecurityHeader):
    """`.token` is what stands behind `Authorization: Bearer`, None where there is none."""

    def __init__(self, connection: HTTPConnection) -> None:
        values = connection.headers.getlist("Authorization")
        self.token = parse_credentials(values[0]) if len(values) == 1 else None

    @classmethod
    def service_auth_info(cls) -> dict[str, Any]:
        """HTTP's own scheme for bearer tokens, as "Auth"."""
        return {"Auth": {"type": "http", "scheme": "bearer"}}

    @classmethod
    def endpoint_auth_info(cls) -> dict[str, Any]:
        """The scheme "Auth", which has no scopes."""
        return {"Auth": []}


@dataclass(frozen=True, slots=True)
class OpenAPISecurityWrapper:
    """What one kind of credentials adds to the document, and to an operation that takes them."""

    service_auth_info: dict[str, Any]
    endpoint_auth_info: dict[str, Any]


def security_dependencies(
    dep_wrappers: Iterable[object], visited_types: set[type] | None = None
) -> list[OpenAPISecurityWrapper]:
    """The credentials that dependencies read, themselves or by what they stand on; each once.

    A dependency is given as it is annotated. Kinds in `visited_types` are left out, and those that
    are found are added to it.
    """
    seen = set() if visited_types is None else visited_types
    found = []
    for asked in dep_wrappers:
        made = dependency_of(getattr(asked, "dependency", asked))
        for one in () if made is None else provider_of(made).walk():
            kind = one.dependency.dependency_fn
            if isinstance(kind, type) and issubclass(kind, SecurityHeader) and kind not in seen:
                seen.add(kind)
                found.append(
                    OpenAPISecurityWrapper(kind.service_auth_info(), kind.endpoint_auth_info())
                )
    return found
