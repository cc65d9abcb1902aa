"""A refusal of access, which leaves open whether the thing itself is well."""

from __future__ import annotations

from buildflow_nb.core.errors import PermanentError

__all__ = ("DeniedError",)


class DeniedError(PermanentError):
    """The credentials are known, and may not do what was asked."""
