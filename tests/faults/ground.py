"""Where scenarios take place: a project's folder, its local cloud, and chance."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ("Ground",)


@dataclass(frozen=True)
class Ground:
    """One project; `endpoints` are of its local cloud, none for scenarios without one."""

    project: Path
    rng: random.Random
    endpoints: Mapping[str, str] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        """A new folder in it."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.project))
