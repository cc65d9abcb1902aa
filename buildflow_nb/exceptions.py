"""Exceptions under BuildFlow's names.

`HTTPException` is what an endpoint or a collector raises to answer with a status of its own; the
others are the errors that this package raises where BuildFlow raised those.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from buildflow_nb.core.errors import (
    ConfigError,
    DeclarationError,
    InvalidDependencyHierarchyOrder,
)

__all__ = (
    "CannotConvertSinkException",
    "CannotConvertSourceException",
    "HTTPException",
    "InvalidDependencyHierarchyOrder",
    "PathNotFoundException",
)

CannotConvertSourceException = DeclarationError
CannotConvertSinkException = DeclarationError
PathNotFoundException = ConfigError


class HTTPException(Exception):  # noqa: N818  (BuildFlow's name)
    """The request is answered with this status and `{"detail": …}`; the status' phrase by default.

    Raises:
        ValueError: `status_code` is no status of HTTP.
    """

    def __init__(
        self,
        status_code: int,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = status_code
        self.detail = HTTPStatus(status_code).phrase if detail is None else detail
        self.headers = dict(headers or {})
        super().__init__(status_code, self.detail)

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"
