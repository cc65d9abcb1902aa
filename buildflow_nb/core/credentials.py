"""Credentials that cannot print themselves.

A `Secret` shows as `****` in every representation and refuses to be formatted, pickled into
text or serialised by accident; only `reveal()` gives the value, so a search for that word finds
every place where a credential leaves its box.

It is also a type for fields of elements: text becomes a `Secret` when an element is decoded, and
text again where it is written to a sink. `Annotated[str, Secret]` marks a field that stays a str.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = (
    "AWSCredentials",
    "FlowCredentials",
    "GCPCredentials",
    "Secret",
    "is_secret_class",
    "is_secret_mark",
    "revealed",
)


class Secret:
    """A text whose every representation is `****`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value, to be handed to a client and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "****"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        """Let pydantic models have fields of this type: made of text, masked in their JSON."""
        if source is not cls:  # it is only the mark of another type, which stays what it is
            made: CoreSchema = handler(source)
            return made
        from pydantic_core import core_schema as schema

        text = schema.no_info_after_validator_function(cls, schema.str_schema())
        return schema.json_or_python_schema(
            json_schema=text,
            python_schema=schema.union_schema([schema.is_instance_schema(cls), text]),
            serialization=schema.plain_serializer_function_ser_schema(
                repr, return_schema=schema.str_schema(), when_used="json"
            ),
        )


def is_secret_class(kind: object) -> bool:
    """Whether values of the class are secret: ours, or pydantic's (told without importing it)."""
    return isinstance(kind, type) and (
        issubclass(kind, Secret)
        or any(
            base.__module__ == "pydantic.types" and base.__name__ == "_SecretBase"
            for base in kind.__mro__
        )
    )


def is_secret_mark(mark: object) -> bool:
    """Whether what stands in `Annotated` says that the value is secret."""
    return is_secret_class(mark) or isinstance(mark, Secret)


def revealed(value: object) -> Any:
    """What a value of a secret class holds."""
    return value.reveal() if isinstance(value, Secret) else value.get_secret_value()  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class AWSCredentials:
    """Keys for AWS; without them the SDK's own chain decides."""

    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None

    def __post_init__(self) -> None:
        _box(self)


@dataclass(frozen=True, slots=True)
class GCPCredentials:
    """A service account (its JSON text); without it the SDK's own chain decides."""

    service_account_info: Secret | None = None

    def __post_init__(self) -> None:
        _box(self)

    def get_creds(self, quota_project_id: str | None = None) -> Any:
        """The same as an object of Google's, for one of its clients.

        Raises:
            ConfigError: it is no service account's JSON, or the SDK finds no credentials.
        """
        import json

        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
        from google.oauth2.service_account import Credentials

        if self.service_account_info is None:
            try:
                found, _ = google.auth.default(quota_project_id=quota_project_id)
            except DefaultCredentialsError as error:
                raise ConfigError(str(error)) from error
            return found
        try:
            info = json.loads(self.service_account_info.reveal())
            made: Any = Credentials.from_service_account_info(info)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):
            msg = "gcp_service_account_info is no service account's JSON"
            raise ConfigError(msg) from None  # the cause may hold the key
        return made if quota_project_id is None else made.with_quota_project(quota_project_id)


@dataclass(frozen=True, slots=True)
class FlowCredentials:
    """The credentials of a flow, for a dependency that makes a client of its own."""

    gcp_credentials: GCPCredentials
    aws_credentials: AWSCredentials


def _box(credentials: object) -> None:
    """Put plain texts that somebody passed, whatever the types say, where nothing shows them."""
    for field in fields(credentials):  # type: ignore[arg-type]
        value = getattr(credentials, field.name)
        if isinstance(value, str):
            object.__setattr__(credentials, field.name, Secret(value))
