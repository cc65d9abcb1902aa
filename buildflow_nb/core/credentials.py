"""Credentials that cannot print themselves.

A `Secret` shows as `****` in every representation and refuses to be formatted, pickled into
text or serialised by accident; only `reveal()` gives the value, so a search for that word finds
every place where a credential leaves its box.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("AWSCredentials", "GCPCredentials", "Secret")


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


@dataclass(frozen=True, slots=True)
class AWSCredentials:
    """Keys for AWS; without them the SDK's own chain decides."""

    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class GCPCredentials:
    """A service account (its JSON text); without it the SDK's own chain decides."""

    service_account_info: Secret | None = None
