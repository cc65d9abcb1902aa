"""How long what a dependency gives is used."""

from __future__ import annotations

import enum

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.nearest import nearest

__all__ = ("Scope",)


class Scope(enum.Enum):
    """How long what a dependency gives is used.

    `PROCESS`: for one call of a processor. `REPLICA`: as long as a replica lives. `GLOBAL`: as long
    as a run. `NO_SCOPE`: it is made anew for whoever asks, and lives as long as that one.
    """

    PROCESS = 1
    REPLICA = 2
    GLOBAL = 3
    NO_SCOPE = 4

    @classmethod
    def of(cls, scope: Scope | str | int) -> Scope:
        """A scope by itself, its name in any case, or its value.

        Raises:
            DeclarationError: there is no such scope.
        """
        if isinstance(scope, cls):
            return scope
        if isinstance(scope, str) and scope.upper() in cls.__members__:
            return cls[scope.upper()]
        if isinstance(scope, int) and scope in [one.value for one in cls]:
            return cls(scope)
        near = nearest(scope.upper(), cls.__members__) if isinstance(scope, str) else ""
        msg = f"scope must be one of {', '.join(cls.__members__)}, got {scope!r}{near}"
        raise DeclarationError(msg)
