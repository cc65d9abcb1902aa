"""What a processor gets besides its element: made for it, shared by scope, closed afterwards."""

from __future__ import annotations

from buildflow_nb.core.declaring.dependencies import dependency
from buildflow_nb.core.declaring.scope import Scope

__all__ = ("Scope", "dependency")
