"""What must never be sent, though some of it could be: it would be another thing over there."""

from __future__ import annotations

import ctypes
import io
import sys
import types

__all__ = ("RefusedError", "refuse")

_FACES = ("buildflow_nb.flow.", "buildflow_nb.notebook.", "buildflow_nb.cli.", "ipykernel.")
_SHELL = "InteractiveShell"


class RefusedError(Exception):
    """Something stays where it is; `thing` is what."""

    def __init__(self, thing: object) -> None:
        super().__init__(f"a {type(thing).__name__} stays in its process")
        self.thing = thing


def refuse(thing: object) -> None:
    """Look whether something has to stay in its process.

    Raises:
        RefusedError: it has to: a flow, a shell, an open file (its text would go, and not the
            file), what ctypes holds (an address of this process), a module of the notebook itself
            or one that is loaded from nowhere that could be told.
    """
    kind = type(thing)
    module = str(kind.__module__)
    if module.startswith(_FACES) or any(k.__name__ == _SHELL for k in kind.__mro__):
        raise RefusedError(thing)
    if isinstance(thing, io.IOBase) and not isinstance(thing, (io.BytesIO, io.StringIO)):
        raise RefusedError(thing)
    if isinstance(thing, ctypes.CDLL) or any(k.__module__ == "_ctypes" for k in kind.__mro__):
        raise RefusedError(thing)
    if isinstance(thing, types.ModuleType):
        compiled = str(getattr(thing, "__file__", "")).endswith((".so", ".pyd"))
        if thing.__name__ == "__main__" or (compiled and thing.__name__ not in sys.modules):
            raise RefusedError(thing)
