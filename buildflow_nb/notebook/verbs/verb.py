"""What a verb is: a function of the session and a line's values, which gives what to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from buildflow_nb.notebook.session import Session

__all__ = ("Values", "Verb")

Values = Mapping[str, Any]
Verb = Callable[[Session, Values], object]
